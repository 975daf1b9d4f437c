package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bulkhead/bench/evaluate"
	"bulkhead/bench/report"
)

// placed is one decision, judged.
type placed struct {
	Site      string
	Percent   int
	Seed      uint64
	Asked     int
	Who       string
	Counts    evaluate.Counts
	Bound     evaluate.Counts // each level by itself
	AllToAll  float64         // ns
	Tapered   float64         // ns, as if pods were tapered 7 to 1
	Shared    int             // links that other tenants' packets may be on too
	Search    time.Duration
	Whole     time.Duration
	FreeNodes int
}

// percents are the four occupancies.
var percents = []int{0, 25, 50, 75}

// plot is a site of the fight and what is asked on it.
type plot struct {
	name                  string
	halls, pods, podNodes int
	asks                  []int
}

var plots = []plot{
	{"nodes-12500", 4, 1, 3125, []int{125, 250, 750, 2500, 5000, 9375}},
	{"nodes-50000", 4, 4, 3125, []int{500, 1000, 3000, 10_000, 20_000, 37_500}},
}

// places is B1 and B2.
func (f *fight) places() (report.Section, error) {
	var all []placed
	for _, p := range plots {
		rows, err := f.placesOn(p)
		if err != nil {
			return report.Section{}, err
		}
		all = append(all, rows...)
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return report.Section{}, err
	}
	if err := os.WriteFile(filepath.Join(f.out, "places.json"), data, 0o644); err != nil {
		return report.Section{}, err
	}
	return placesSection(all), nil
}

func (f *fight) placesOn(p plot) ([]placed, error) {
	tree, err := f.tree(p.name, p.halls, p.pods, p.podNodes)
	if err != nil {
		return nil, err
	}
	b, s, k, err := f.contenders(tree)
	if err != nil {
		return nil, err
	}
	defer f.close()
	tapered := *tree
	tapered.Shape.PodTaper = 7 // what Meta publishes of its 24,576-GPU clusters
	var rows []placed
	for seed := range uint64(f.seeds) {
		for _, percent := range percents {
			o, err := f.occupancy(tree, percent, seed+1)
			if err != nil {
				return nil, err
			}
			free := o.FreeNodes()
			for turn, c := range []contender{b, s, k} {
				if err := c.Occupy(o); err != nil {
					return nil, err
				}
				if turn == 0 && seed == 0 { // a first ask that is not counted: caches, pages, the heap
					for _, w := range []contender{b, s, k} {
						if _, err := w.Place(min(free, 100)); err != nil {
							return nil, err
						}
					}
				}
			}
			for _, asked := range p.asks {
				if asked > free {
					continue
				}
				bound := evaluate.Bound(tree, o, asked)
				for _, c := range []contender{b, s, k} {
					d, err := c.Place(asked)
					if err != nil {
						return nil, fmt.Errorf("%s, %d %%, seed %d, %d nodes: %w", p.name, percent, seed+1, asked, err)
					}
					counts, err := evaluate.Count(tree, o, asked, d.Nodes)
					if err != nil {
						return nil, fmt.Errorf("%s, %d %%, seed %d, %d nodes: %s answered with %w", p.name, percent, seed+1, asked, c.Name(), err)
					}
					rows = append(rows, placed{Site: p.name, Percent: percent, Seed: seed + 1, Asked: asked, Who: c.Name(), Counts: counts, Bound: bound,
						AllToAll: evaluate.AllToAllNS(tree, d.Nodes), Tapered: evaluate.AllToAllNS(&tapered, d.Nodes), Shared: evaluate.Shared(tree, o, d.Nodes).Links(),
						Search: d.Search, Whole: d.Whole, FreeNodes: free})
				}
			}
		}
		f.say("  %s: seed %d of %d, %d decisions", p.name, seed+1, f.seeds, len(rows))
	}
	return rows, nil
}

// quantile is the q-quantile of durations: the smallest that at least that
// share of them does not exceed.
func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// byCase groups rows: the decisions of all contenders on one ask.
func byCase(rows []placed) [][]placed {
	type key struct {
		site    string
		percent int
		seed    uint64
		asked   int
	}
	at := map[key]int{}
	var out [][]placed
	for _, r := range rows {
		k := key{r.Site, r.Percent, r.Seed, r.Asked}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}
