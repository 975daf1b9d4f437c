package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"bulkhead/custody"
	"bulkhead/run/datadir"
	"bulkhead/site"
)

type siteCommand struct {
	Check  siteCheck  `cmd:"" help:"Check a site file and say what it comes to."`
	Diff   siteDiff   `cmd:"" help:"Say what importing a site file would change."`
	Import siteImport `cmd:"" help:"Add to the site what a site file has and the ledger does not."`
	Spares siteSpares `cmd:"" help:"How many spares a site should have, by its failures and its times of repair."`
	Show   siteShow   `cmd:"" help:"Show the site that a server runs."`
	Found  siteFound  `cmd:"" help:"List the labels that an adopted site carried before, and at which nodes."`
	Manage siteManage `cmd:"" help:"End the read-only adoption of a site that was only observed."`
	Adopt  siteAdopt  `cmd:"" help:"Offer a contract to who is on an adopted site already: its nodes stay as they are, under their labels."`
	Take   siteTake   `cmd:"" help:"Take over the nodes that carry a found label: they are wiped."`
}

// readTemplate reads and checks a site file. All its problems are reported at
// once, each with its line and field.
func readTemplate(path string) (*site.Template, []byte, error) {
	data, err := custody.ReadFile(path, custody.Large)
	if err != nil {
		return nil, nil, err
	}
	t, err := site.ParseTemplate(path, data)
	return t, data, err
}

type siteCheck struct {
	File string `arg:"" help:"Site file, YAML."`
	format
}

// Help is the example.
func (siteCheck) Help() string {
	return `Needs no server. Every problem is listed with its line and field.

Example:

    bulkhead site check examples/tiny/site.yaml`
}

// Run checks.
func (c *siteCheck) Run() error {
	t, _, err := readTemplate(c.File)
	if err != nil {
		return err
	}
	s, err := t.Build()
	if err != nil {
		return err
	}
	return c.print(siteFacts(s), func(w io.Writer) { siteTable(w, s) })
}

// siteSummary is a site in figures.
type siteSummary struct {
	Site    string       `json:"site"`
	Origin  string       `json:"origin"`
	Nodes   int          `json:"nodes"`
	GPUs    int          `json:"gpus"`
	Spares  int          `json:"spares"`
	SUs     int          `json:"scalable_units"`
	Fabrics []string     `json:"fabrics"`
	BMCs    string       `json:"management,omitempty"` // the network that they are on
	Halls   []hallFigure `json:"halls"`
}

type hallFigure struct {
	Hall      string `json:"hall"`
	InService string `json:"in_service"`
	Nodes     int    `json:"nodes"`
	GPUs      int    `json:"gpus"`
}

func siteFacts(s *site.Site) siteSummary {
	f := siteSummary{Site: s.Name, Origin: string(s.Origin), Nodes: s.Nodes(), GPUs: s.GPUs(), Spares: s.Spares().Len(), SUs: len(s.SUs)}
	for _, fabric := range s.Fabrics {
		f.Fabrics = append(f.Fabrics, fmt.Sprintf("%s (%s)", fabric.ID, fabric.Family))
	}
	f.BMCs = s.Management
	nodes, gpus := make([]int, len(s.Halls)), make([]int, len(s.Halls))
	for n := range site.Index(s.Nodes()) {
		hall := s.HallOf(n)
		nodes[hall], gpus[hall] = nodes[hall]+1, gpus[hall]+s.RailsOf(n)
	}
	for i := range s.Halls {
		h := &s.Halls[i]
		f.Halls = append(f.Halls, hallFigure{h.ID, h.InService.Format("2006-01-02"), nodes[i], gpus[i]})
	}
	return f
}

func siteTable(w io.Writer, s *site.Site) {
	f := siteFacts(s)
	row(w, "site", f.Site)
	row(w, "origin", f.Origin)
	row(w, "nodes", fmt.Sprintf("%d (%d GPUs), %d of them spares", f.Nodes, f.GPUs, f.Spares))
	row(w, "scalable units", f.SUs)
	for _, name := range f.Fabrics {
		row(w, "fabric", name)
	}
	if f.BMCs != "" {
		row(w, "BMCs", "on "+f.BMCs+", which every lease spans")
	}
	for _, h := range f.Halls {
		row(w, "hall", h.Hall, "in service "+h.InService, fmt.Sprintf("%d nodes", h.Nodes))
	}
}

type siteDiff struct {
	File string      `arg:"" help:"Site file, YAML."`
	Data datadir.Dir `placeholder:"DIR" help:"Folder of the control plane. Without it the server is asked."`
	client
	format
}

// Help is the example.
func (siteDiff) Help() string {
	return `Exit code 1 says that the file can't be imported over the site as it is.

Example:

    bulkhead site diff --data /var/lib/bulkhead site.yaml`
}

// Run compares.
func (c *siteDiff) Run(ctx context.Context) error {
	t, data, err := readTemplate(c.File)
	if err != nil {
		return err
	}
	if c.Data == "" {
		return c.ask(ctx, data)
	}
	log, err := c.Data.Reader()
	if err != nil {
		return err
	}
	defer log.Close()
	state, err := datadir.Fold(ctx, log, datadir.Everything)
	if err != nil {
		return err
	}
	old := state.Site
	if old == nil {
		old = site.New(t.Header())
	}
	change, err := site.Diff(old, t.Header(), t)
	if err != nil {
		return err
	}
	text := change.String()
	if err := c.print(map[string]any{"text": text, "refused": change.Refused}, func(w io.Writer) { fmt.Fprint(w, text) }); err != nil {
		return err
	}
	if len(change.Refused) > 0 {
		return errors.New("the change is refused: see the lines with ! above")
	}
	return nil
}
