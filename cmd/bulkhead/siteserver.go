package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

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
		if s.ReadOnly != "" {
			row(w, "READ-ONLY", s.ReadOnly)
		}
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
		clockTable(w, s.Clock)
	})
}

// ask asks the server what a site file would change.
func (c *siteDiff) ask(ctx context.Context, data []byte) error {
	change, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.DiffSite, &v1.SiteTemplate{File: c.File, Template: data})
	if err != nil {
		return err
	}
	if err := c.print(change, func(w io.Writer) { fmt.Fprint(w, change.Text) }); err != nil {
		return err
	}
	if len(change.Refused) > 0 {
		return errors.New("the change is refused: see the lines with ! above")
	}
	return nil
}
