package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type siteImport struct {
	File string `arg:"" help:"Site file, YAML."`
	requestFlag
	client
	format
}

// Help is the example.
func (siteImport) Help() string {
	return `What exists stays as it is and keeps its number; what is new is added. See first
what would change: bulkhead site diff FILE.

Example:

    bulkhead site import examples/tiny/site.yaml`
}

// Run imports.
func (c *siteImport) Run(ctx context.Context) error {
	_, data, err := readTemplate(c.File)
	if err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ImportSite, &v1.SiteTemplate{CommandId: c.id(), File: c.File, Template: data})
	return c.done("import of "+c.File, d, err)
}

type siteShow struct {
	client
	format
}

// Help is the example.
func (siteShow) Help() string {
	return `Example:

    bulkhead site show`
}

// Run shows.
func (c *siteShow) Run(ctx context.Context) error {
	s, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ShowSite, &v1.ShowSiteRequest{})
	if err != nil {
		return err
	}
	return c.print(s, func(w io.Writer) {
		row(w, "site", s.Name)
		row(w, "origin", s.Origin)
		row(w, "nodes", fmt.Sprintf("%d (%d GPUs)", s.Nodes, s.Gpus))
		row(w, "scalable units", s.Sus)
		row(w, "leaves", s.Leaves)
		for _, h := range s.Halls {
			row(w, "hall", h.Id, "in service "+h.InService, fmt.Sprintf("%d nodes", h.Nodes))
		}
		for _, state := range slices.Sorted(maps.Keys(s.NodesByState)) {
			row(w, "nodes "+state, s.NodesByState[state])
		}
	})
}

// ask asks the server what a site file would change.
func (c *siteDiff) ask(ctx context.Context, data []byte) error {
	change, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.DiffSite, &v1.SiteTemplate{File: c.File, Template: data})
	if err != nil {
		return err
	}
	text := change.Text
	if text == "" {
		text = "nothing would change"
	}
	return c.print(change, func(w io.Writer) { fmt.Fprintln(w, text) })
}
