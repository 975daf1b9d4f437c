package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/custody"
	"bulkhead/fabric/ethernet/discovered"
	"bulkhead/fabric/infiniband/netdiscover"
	"bulkhead/site"
	"bulkhead/site/draft"
	"bulkhead/site/slurm"
)

// importFormats are the files of other programs that a site can be drafted from:
// a line a format. A reader returns what the file says, with errors that name
// file and line; the rest is the same for all.
var importFormats = []importFormat{
	{"slurm-conf", "Slurm's topology.conf, of the tree or the block plugin", slurm.Conf},
	{"slurm-yaml", "Slurm's topology.yaml; of several topologies the default one, or --topology", slurm.YAML},
	{"lldp", "RoCE leaves' lldpctl dumps (-f json, -f keyvalue): LEAF=FILE,..., or @LIST with an entry a line", discovered.DraftLLDP},
	{"sonic", "RoCE leaves' SONiC config_db.json: FILE,FILE,... or LEAF=FILE,..., or @LIST", discovered.DraftSONiC},
	{"ibnetdiscover", "InfiniBand subnets, one file each: FILE, or FABRIC=FILE,FABRIC=FILE", netdiscover.Draft},
}

type importFormat struct {
	name string
	what string
	read func(file string, read draft.Reader, o draft.Options) (*draft.Draft, error)
}

// ownFormat is Bulkhead's site file.
const ownFormat = "site"

type siteImport struct {
	File      string `arg:"" help:"Site file, YAML, or a file of the --format."`
	Format    string `default:"site" placeholder:"NAME" help:"What FILE is: site, or another program's file; the formats are listed above."`
	Out       string `placeholder:"FILE" help:"With another format: write the drafted site file there and import nothing."`
	Like      string `placeholder:"FILE" help:"With another format: site file whose shape, node models, dates and policy the site takes over."`
	Name      string `placeholder:"ID" help:"With another format: name of the site. Default: that of --like, or of FILE."`
	Kind      string `placeholder:"ID" help:"With another format: GPU kind of its nodes. Default: the first of --like."`
	Family    string `placeholder:"NAME" help:"With another format that does not say: roce or infiniband. Default: roce."`
	RackNodes int    `placeholder:"N" help:"With another format that does not say: nodes a rack. Default: that of --like, or 8."`
	Topology  string `placeholder:"NAME" help:"Which topology of a file that has several. Default: its default."`
	Hosts     string `placeholder:"LIST" help:"With another format: only these hosts are nodes, such as gpu[001-016],gpu020. Default: all that could be."`
	Switches  string `placeholder:"LIST" help:"With Slurm's files: these switches are there, though by their names they gather unknown nodes or only join others, such as unassigned[1-2]."`
	Rails     string `placeholder:"LIST" help:"With a format that says ports: only these ports of a host are rails, such as mlx5_0-7. Default: all that could be, at most 8."`
	Names     string `placeholder:"FILE" help:"With ibnetdiscover: names of devices that have none, a line GUID \"HOST mlx5_0\" each, as its --node-name-map."`
	Strict    bool   `help:"With another format: a note is an error, and nothing is written or imported."`
	InService string `placeholder:"DATE" help:"With another format and without --like: since when its nodes are in service. Default: today."`
	requestFlag
	client
	format
}

// Help is the formats and the examples.
func (siteImport) Help() string {
	var formats strings.Builder
	for _, f := range importFormats {
		fmt.Fprintf(&formats, "\n    %-14s %s", f.name, f.what)
	}
	return `What exists stays as it is and keeps its number; what is new is added, and dates
and policy are taken over. A file that would change or leave out nodes that exist
is refused whole. See first what would change: bulkhead site diff FILE.

A site can be drafted from what another program knows of it, in one of these
formats. What can be taken is taken; what can't is left out, with a note of file, line
and reason, and --strict makes notes errors. With --out the draft is written as a site file, to be completed and
checked; without, it is imported as it is. A drafted site is simulated: its shape
and host names are real, its serials and addresses are made up.
` + formats.String() + `

Examples:

    bulkhead site import examples/tiny/site.yaml
    bulkhead site import --format slurm-conf --out site.yaml /etc/slurm/topology.conf
    bulkhead site import --format ibnetdiscover --out site.yaml ib=subnet.txt
    bulkhead site import --format ibnetdiscover --rails mlx5_0-7 --hosts gpu[001-064] --out site.yaml ib=subnet.txt`
}

// Run imports.
func (c *siteImport) Run(ctx context.Context) error {
	data, d, err := c.template()
	if err != nil {
		return err
	}
	if c.Strict && len(d.Notes) > 0 {
		lines := make([]string, len(d.Notes))
		for i, note := range d.Notes {
			lines[i] = note.String()
		}
		return fmt.Errorf("%s\n--strict: nothing is written or imported, as there are notes (%d): mend the file, or leave --strict out and what they name is left out", strings.Join(lines, "\n"), len(d.Notes))
	}
	if c.Out != "" {
		return c.write(data, d)
	}
	for _, note := range d.Notes {
		say(remarks, "bulkhead: note: %s", note)
	}
	for _, remark := range d.Remarks {
		say(remarks, "bulkhead: remark: %s", remark)
	}
	done, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ImportSite, &v1.SiteTemplate{CommandId: c.id(), File: c.File, Template: data})
	return c.done("import of "+c.File, done, err)
}

// template is the site file: as it is, or drafted.
func (c *siteImport) template() (data []byte, d *draft.Draft, err error) {
	if c.Format == ownFormat {
		if c.Out != "" || c.Like != "" || c.Name != "" || c.Kind != "" || c.Family != "" || c.RackNodes != 0 || c.Topology != "" || c.InService != "" ||
			c.Hosts != "" || c.Switches != "" || c.Rails != "" || c.Names != "" || c.Strict {
			return nil, nil, usagef("--out, --like, --name, --kind, --family, --rack-nodes, --topology, --hosts, --switches, --rails, --names, --strict and --in-service are for other formats: give --format as well")
		}
		_, data, err = readTemplate(c.File)
		return data, &draft.Draft{}, err
	}
	for _, f := range importFormats {
		if f.name != c.Format {
			continue
		}
		o, err := c.options()
		if err != nil {
			return nil, nil, err
		}
		d, err := f.read(c.File, readInventory, o)
		if err != nil {
			return nil, nil, err
		}
		c.unmet(d, o)
		data, err := d.SiteFile(o)
		return data, d, err
	}
	names := []string{ownFormat}
	for _, f := range importFormats {
		names = append(names, f.name)
	}
	return nil, nil, usagef("--format %s: expected one of %s", c.Format, strings.Join(names, ", "))
}

// unmet notes names in the selectors that nothing in the file has.
func (c *siteImport) unmet(d *draft.Draft, o draft.Options) {
	for _, s := range [...]struct {
		flag, names string
	}{{"--hosts", o.Hosts.Unmet()}, {"--rails", o.RailPorts.Unmet()}, {"--switches", o.Switches.Unmet()}} {
		if s.names != "" {
			d.Note(c.File, 1, "nothing in it is called %s, which %s names: see how the file writes it", s.names, s.flag)
		}
	}
}

// readInventory reads a file that another program wrote.
func readInventory(path string) ([]byte, error) { return custody.ReadFile(path, custody.Large) }

func (c *siteImport) options() (draft.Options, error) {
	o := draft.Options{Name: c.Name, Kind: c.Kind, Family: site.Family(c.Family), RackNodes: c.RackNodes, Part: c.Topology}
	if c.Family != "" && !o.Family.Valid() {
		return o, usagef("--family %s: expected roce or infiniband", c.Family)
	}
	if c.RackNodes < 0 || c.RackNodes > site.MaxSUNodes {
		return o, usagef("--rack-nodes %d: expected 1 to %d", c.RackNodes, site.MaxSUNodes)
	}
	var err error
	if o.Hosts, err = draft.Select(c.Hosts); err != nil {
		return o, usagef("--hosts: %v", err)
	}
	if o.Switches, err = draft.Select(c.Switches); err != nil {
		return o, usagef("--switches: %v", err)
	}
	if o.RailPorts, err = draft.Select(c.Rails); err != nil {
		return o, usagef("--rails: %v", err)
	}
	o.Names = c.Names
	o.InService = time.Now().UTC().Truncate(24 * time.Hour)
	if c.InService != "" {
		at, err := time.Parse(time.DateOnly, c.InService)
		if err != nil {
			return o, usagef("--in-service %s: expected a date such as 2026-04-01", c.InService)
		}
		o.InService = at
	}
	if c.Like != "" {
		t, _, err := readTemplate(c.Like)
		if err != nil {
			return o, err
		}
		h := t.Header()
		o.Like = &h
		if o.Name == "" {
			o.Name = h.Name
		}
	}
	if o.Name == "" {
		o.Name = draft.SiteName(filepath.Base(c.File[strings.LastIndexByte(c.File, '=')+1:]))
	}
	return o, nil
}

// write writes the draft and says what it comes to.
func (c *siteImport) write(data []byte, d *draft.Draft) error {
	t, err := site.ParseTemplate(c.Out, data)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, data, 0o644); err != nil {
		return err
	}
	h := t.Header()
	drafted := map[string]any{"site": h.Name, "file": c.Out, "nodes": t.Nodes(), "scalable_units": t.SUs(), "pods": len(h.Pods), "halls": len(h.Halls),
		"fabrics": len(h.Fabrics) - 1, "notes": append([]draft.Note{}, d.Notes...), "remarks": append([]string{}, d.Remarks...)}
	return c.print(drafted, func(w io.Writer) {
		row(w, "site", h.Name)
		row(w, "file", c.Out)
		row(w, "origin", "simulated: serials, addresses and keys are made up, but for what is under identities")
		row(w, "nodes", t.Nodes())
		row(w, "scalable units", t.SUs())
		row(w, "pods", len(h.Pods))
		row(w, "halls", len(h.Halls))
		for _, note := range d.Notes {
			row(w, "note", note)
		}
		for _, remark := range d.Remarks {
			row(w, "remark", remark)
		}
		row(w, "next", "complete it, then: bulkhead site check "+c.Out)
	})
}
