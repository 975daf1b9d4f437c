package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/evaluate"
	"bulkhead/bench/kueue"
	"bulkhead/bench/report"
	"bulkhead/bench/sites"
	"bulkhead/bench/slurm"
)

// linked is one site that one contender filled.
type linked struct {
	who          string
	tenants      int
	shared, used int // links that two tenants may be on; links that any is on
}

// links is B3: the same leases placed one after the other on an empty site, and
// then how many links two tenants may be on.
func (f *fight) links() (report.Section, error) {
	seeds := f.seeds
	tree, err := f.tree("links-12500", 4, 1, 3125)
	if err != nil {
		return report.Section{}, err
	}
	k, err := kueue.New(tree)
	if err != nil {
		return report.Section{}, err
	}
	sl, err := slurm.Start(f.scratch(), tree, false)
	if err != nil {
		return report.Section{}, err
	}
	f.start(sl)
	defer f.close()
	table := [][]string{{"seed", "leases", "nodes leased", "Bulkhead, hermetic", "Bulkhead, shared links", "Slurm", "Kueue"}}
	double := 0
	var short error
	var plots []report.Series
	for _, who := range []string{"Bulkhead, hermetic", "Bulkhead, shared links", "Slurm", "Kueue"} {
		plots = append(plots, report.Series{Name: who})
	}
	var labels []string
	for seed := range uint64(seeds) {
		sizes, err := f.leases(tree, seed+1)
		if err != nil {
			return report.Section{}, err
		}
		// Bulkhead decides which of the leases are on the site, up to four fifths of
		// it: every contender is then asked for these and no others.
		var s streamed
		h, err := newHermetic(tree, 0, &s)
		if err != nil {
			return report.Section{}, err
		}
		var taken []int
		leased := 0
		for i, n := range sizes {
			if leased+n > tree.Nodes()*4/5 {
				continue
			}
			ok, _, err := h.start(int32(i+1), n)
			if err != nil {
				return report.Section{}, err
			}
			if ok {
				taken = append(taken, n)
				leased += n
			}
		}
		double += h.owners.Double
		if short == nil {
			short = s.short
		}
		row := []linked{{who: "hermetic", tenants: len(taken), shared: h.owners.Double, used: h.owners.Taken()}}
		b, err := bulkhead.New(tree)
		if err != nil {
			return report.Section{}, err
		}
		for _, c := range []contender{b, sl, k} {
			o := &sites.Occupancy{Holder: make([]int32, tree.Nodes())}
			for i, n := range taken {
				if err := c.Occupy(o); err != nil {
					return report.Section{}, err
				}
				d, err := c.Place(n)
				if err != nil {
					return report.Section{}, fmt.Errorf("seed %d, lease %d of %d nodes: %w", seed+1, i+1, n, err)
				}
				if _, err := evaluate.Count(tree, o, n, d.Nodes); err != nil {
					return report.Section{}, fmt.Errorf("%s: %w", c.Name(), err)
				}
				for _, node := range d.Nodes {
					o.Holder[node] = int32(i + 1)
				}
			}
			shared, used := evaluate.Exposed(tree, o)
			row = append(row, linked{who: c.Name(), tenants: len(taken), shared: shared, used: used})
		}
		line := []string{fmt.Sprint(seed + 1), fmt.Sprint(len(taken)), report.Number(leased)}
		for i, l := range row {
			line = append(line, fmt.Sprintf("%s of %s", report.Number(l.shared), report.Number(l.used)))
			plots[i].Values = append(plots[i].Values, float64(l.shared))
		}
		labels = append(labels, fmt.Sprint(seed+1))
		table = append(table, line)
		f.say("  seed %d of %d: %d leases, shared links %d / %d / %d / %d", seed+1, seeds, len(taken), row[0].shared, row[1].shared, row[2].shared, row[3].shared)
	}
	var body strings.Builder
	body.WriteString("The same leases, one after the other on an empty site of 12,500 nodes, up to four fifths of it. For hermetic leases each link of each certificate's assignment gets an owner, which " +
		"the evaluator keeps by itself, and it counts in every SU and pod whether a slice has links enough. Peers do not assign links, and **cannot promise this**: for them, as for Bulkhead's own leases with shared links, " +
		"counted are the links (leaf to spine, spine to core, all planes) on which routing may put packets of two tenants, because both have nodes inside and outside of that SU or pod. " +
		"Links that two tenants may be on, of the links that anybody is on:\n\n")
	body.WriteString(report.Table(table))
	body.WriteString("A hermetic lease pays for it: it can be refused where nodes alone would be enough. B6 says how much that costs.\n\n![links](links.svg)\n\n")
	got := fmt.Sprintf("%d links with two owners over %d sites", double, seeds)
	if short != nil {
		got += "; too few links: " + short.Error()
	}
	return report.Section{Body: body.String(), Plots: []report.Plot{{File: "links.svg", SVG: report.Bars("Links that two tenants may be on, by seed", "links", labels, plots, false)}},
		Bars: []report.Bar{{ID: "B3", Text: "no link is shared with another tenant, and every slice has links enough", Met: double == 0 && short == nil, Got: got}}}, nil
}

// leases are the sizes that are asked for: log-uniform from a rack to an eighth of
// the site, half of them in whole SUs, enough for the site twice over.
func (f *fight) leases(t *sites.Tree, seed uint64) ([]int, error) {
	r := rand.New(rand.NewPCG(seed, 3))
	var jobs []sites.Job
	for sum := 0; sum < 2*t.Nodes(); {
		n := sites.LogUniform(r, t.Shape.RackNodes, t.Nodes()/8)
		if r.IntN(2) == 0 {
			n = max(1, n/t.Shape.SUNodes) * t.Shape.SUNodes
		}
		sum += n
		jobs = append(jobs, sites.Job{Nodes: n, Time: 1})
	}
	data, err := f.file(fmt.Sprintf("leases-%d.txt", seed), sites.EncodeJobs(jobs))
	if err != nil {
		return nil, err
	}
	if jobs, err = sites.DecodeJobs(data); err != nil {
		return nil, err
	}
	var sizes []int
	for _, j := range jobs {
		sizes = append(sizes, j.Nodes)
	}
	return sizes, nil
}
