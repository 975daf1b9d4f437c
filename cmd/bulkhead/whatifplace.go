package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/whatif/picture"
)

type whatIfPlace struct {
	File   string `arg:"" help:"Contract file, YAML."`
	At     string `placeholder:"DATE" help:"Time of the pictures. Default: when the last of the contract has come."`
	SVG    string `name:"svg" placeholder:"FILE" help:"Write the pictures there too, as SVG. It must not exist."`
	Colour string `default:"auto" enum:"auto,always,never" help:"Colours of the terminal: auto, always or never."`
	client
	format
}

// Help is the example.
func (whatIfPlace) Help() string {
	return `What would happen if this contract were signed: where each tranche would lie,
what would come late and what that costs, which bookings that have not begun would
be placed again, and the site before and after. Nothing is written, and nothing is
held: bulkhead quote does that.

In a picture each letter is a scalable unit, a line a pod.

Example:

    bulkhead what-if place docs/first-lease.yaml --svg site.svg`
}

// Run asks.
func (c *whatIfPlace) Run(ctx context.Context) error {
	_, data, err := readContract(c.File)
	if err != nil {
		return err
	}
	p, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.WhatIfPlace, &v1.WhatIfPlaceRequest{File: c.File, Contract: data, At: c.At})
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := writeNew(c.SVG, p.Svg); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("--svg %s exists, and nothing is overwritten: give another name", c.SVG)
			}
			return fmt.Errorf("--svg: %w", err)
		}
	}
	if err := c.print(p, func(w io.Writer) { placedTable(w, p) }); err != nil {
		return err
	}
	if c.Output != "json" {
		colour := inColour(c.Colour)
		pictures(painted(colour), p, colour)
	}
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func placedTable(w io.Writer, p *v1.PlacedContract) {
	row(w, fmt.Sprintf("if %s, version %d, of tenant %s were signed:", p.Contract, p.Version, p.Tenant))
	for _, t := range p.Tranches {
		kind := t.Kind
		if t.Refused == "" {
			kind += chosenText(t.Kinds)
		}
		row(w, fmt.Sprintf("  tranche %s: %s GPUs of %s on fabric %s, %s to %s", t.Tranche, commas(t.Gpus), kind, t.Fabric, dayOf(t.Delivery), dayOf(t.End)))
		for _, part := range t.Parts {
			late := ""
			if part.Late {
				late = ", late"
			}
			row(w, fmt.Sprintf("    %s GPUs from %s%s, halls/pods/SUs/racks %s", commas(part.Gpus), dayOf(part.Begin), late, shapeText(part.Shape)))
		}
		if t.Near != "" {
			row(w, "    "+t.Near)
		}
		if t.Unproven != "" {
			row(w, "    "+t.Unproven)
		}
		if t.Refused != "" {
			row(w, "    refused: "+t.Refused)
		}
	}
	for _, r := range p.Ramps {
		row(w, "  "+rampText(r))
	}
	for _, g := range p.Apart {
		row(w, "  "+apartText(g))
	}
	rebookingTable(w, p.Moves)
	for _, l := range p.Late {
		row(w, fmt.Sprintf("  for what comes late, %s  %s (%s): %s %s", l.Month, l.Kind, l.Clause, signed(l.Change), p.Currency))
	}
	if p.LateChange != "" {
		row(w, fmt.Sprintf("  what comes late costs the owner %s %s by the contract's own terms", money(strings.TrimPrefix(p.LateChange, "-")), p.Currency))
	}
	priceTable(w, p.Price)
}

// rampText says what a ramp is from each of its dates on, and what its earlier
// dates cost its final size.
func rampText(r *v1.PlacedRamp) string {
	text := fmt.Sprintf("%s are one ramp", strings.Join(r.Tranches, ", "))
	if len(r.Tranches) == 1 {
		text = fmt.Sprintf("%s comes in parts", r.Tranches[0])
	}
	if r.Stepwise {
		text += ", for which there is room only step by step"
	}
	last := ""
	for i, step := range r.Steps {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		last = shapeText(step.Shape)
		text += fmt.Sprintf("%s%s GPUs in %s from %s", sep, commas(step.Gpus), last, dayOf(step.From))
	}
	if r.Unnested != nil && shapeText(r.Unnested) != last {
		text += fmt.Sprintf("; for the last date alone %s would do, the earlier ones forced the difference", shapeText(r.Unnested))
	}
	return text
}

func apartText(g *v1.HermeticGroup) string {
	return strings.Join(g.Tranches, ", ") + " are no ramp: links of a hermetic slice are assigned to it alone, so each is a slice by itself, and no link joins them; one ramp needs shared links, one slice one tranche"
}

// pictures draws the site before and after, with a legend.
func pictures(w io.Writer, p *v1.PlacedContract, colour bool) {
	for _, one := range []*v1.SitePicture{p.Before, p.After} {
		say(w, "\n%s, %s", one.Caption, dayOf(one.At))
		var rows []picture.Row
		for _, r := range one.Rows {
			rows = append(rows, picture.Row{Hall: claim.Line(r.Hall), Pod: claim.Line(r.Pod), What: claim.Line(r.What), Cells: claim.Line(r.Cells)})
		}
		picture.Lines(w, rows, colour)
	}
	fmt.Fprintln(w)
	wide := 0
	for _, h := range p.After.Holders {
		wide = max(wide, len(h.Lease))
	}
	rest, nodes := 0, int64(0)
	for _, h := range p.After.Holders {
		if h.Letter == picture.OtherLetter {
			rest, nodes = rest+1, nodes+h.Nodes
			continue
		}
		mark := ""
		if h.New {
			mark = "  new"
		}
		fmt.Fprintf(w, "  %s  %-*s  %7s nodes%s\n", picture.Paint(claim.Line(h.Letter), colour), wide, claim.Line(h.Lease), commas(h.Nodes), mark)
	}
	if rest > 0 {
		fmt.Fprintf(w, "  %s  %d more leases  %s nodes\n", picture.Paint("+", colour), rest, commas(nodes))
	}
	say(w, "  . free %s   _ planned %s   x out of order %s   spares, not drawn, %s", commas(p.After.Free), commas(p.After.Planned), commas(p.After.Failed), commas(p.After.Spare))
	fmt.Fprintln(w, "  a letter is a scalable unit; a small one: its lease does not hold all of it")
}
