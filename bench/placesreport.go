package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bulkhead/bench/evaluate"
	"bulkhead/bench/report"
)

var names = []string{"Bulkhead", "Slurm", "Kueue"}

// tally is how Bulkhead's slices compare with a peer's, by domain counts.
type tally struct{ better, equal, worse int }

func (t *tally) add(ours, theirs evaluate.Counts) {
	switch c := ours.Compare(theirs); {
	case c < 0:
		t.better++
	case c == 0:
		t.equal++
	default:
		t.worse++
	}
}

func (t tally) all() int { return t.better + t.equal + t.worse }

func placesSection(rows []placed) report.Section {
	var s report.Section
	s.Body, s.Bars = latency(rows)
	body, bars := quality(rows)
	s.Body += body
	s.Bars = append(s.Bars, bars...)
	s.Plots = placesPlots(rows)
	for _, p := range s.Plots {
		s.Body += fmt.Sprintf("![%s](%s)\n\n", strings.TrimSuffix(p.File, ".svg"), p.File)
	}
	return s
}

// latency is B1.
func latency(rows []placed) (string, []report.Bar) {
	var b strings.Builder
	b.WriteString("**How long a decision takes** (milliseconds, p50 / p99). *Search* is the decision alone: for Bulkhead `solve.Among`, which counts " +
		"the free nodes, finds the optimum and writes its certificate; for Slurm what slurmctld itself spent on the request, as `sdiag` tells; for Kueue " +
		"`FindTopologyAssignmentsForFlavor`. *Whole* is what a caller waits for, and that differs: Bulkhead adds the check of the certificate, Kueue its " +
		"snapshot of the cache, once a cycle, Slurm all of `sbatch --test-only`, with the start of that process and its answer on paper. " +
		"Bulkhead and Kueue run in this process, Slurm in its own.\n\n")
	table := [][]string{{"site", "asked"}}
	for _, n := range names {
		table[0] = append(table[0], n+" search", n+" whole")
	}
	var bars []report.Bar
	for _, site := range sitesOf(rows) {
		var p50, p99 [3][2]time.Duration
		asks := append([]int{0}, asksOn(rows, site)...)
		for _, asked := range asks {
			line := []string{site, report.Number(asked)}
			if asked == 0 {
				line[1] = "all"
			}
			for i, who := range names {
				var search, whole []time.Duration
				for _, r := range rows {
					if r.Site == site && r.Who == who && (asked == 0 || r.Asked == asked) {
						search, whole = append(search, r.Search), append(whole, r.Whole)
					}
				}
				line = append(line, pair(search), pair(whole))
				if asked == 0 {
					p50[i] = [2]time.Duration{quantile(search, 0.5), quantile(whole, 0.5)}
					p99[i] = [2]time.Duration{quantile(search, 0.99), quantile(whole, 0.99)}
				}
			}
			table = append(table, line)
		}
		faster, who := p50[1][0], names[1]
		if p50[2][0] < faster {
			faster, who = p50[2][0], names[2]
		}
		bars = append(bars, report.Bar{ID: "B1", Text: "p99 under 500 ms on " + site, Met: p99[0][1] < 500*time.Millisecond,
			Got: report.Millis(p99[0][1]) + " ms, with the check of the certificate"},
			report.Bar{ID: "B1", Text: "p50 under 2 times the faster peer's on " + site, Met: p50[0][1] < 2*faster,
				Got: fmt.Sprintf("%s ms with the check, %s's search alone %s ms: %.2f times", report.Millis(p50[0][1]), who, report.Millis(faster), float64(p50[0][1])/float64(faster))})
	}
	b.WriteString(report.Table(table))
	return b.String(), bars
}

func pair(took []time.Duration) string {
	if len(took) == 0 {
		return ""
	}
	return report.Millis(quantile(took, 0.5)) + " / " + report.Millis(quantile(took, 0.99))
}

// quality is B2.
func quality(rows []placed) (string, []report.Bar) {
	cases := byCase(rows)
	peers := [2]tally{}
	var best tally
	fragmented := tally{}
	perPercent := map[int]*[3]tally{}
	for _, c := range cases {
		ours, slurm, kueue := c[0], c[1], c[2]
		theirs := slurm.Counts
		if kueue.Counts.Compare(theirs) < 0 {
			theirs = kueue.Counts
		}
		if perPercent[ours.Percent] == nil {
			perPercent[ours.Percent] = &[3]tally{}
		}
		for i, counts := range []evaluate.Counts{slurm.Counts, kueue.Counts, theirs} {
			perPercent[ours.Percent][i].add(ours.Counts, counts)
		}
		peers[0].add(ours.Counts, slurm.Counts)
		peers[1].add(ours.Counts, kueue.Counts)
		best.add(ours.Counts, theirs)
		if ours.Percent > 0 {
			fragmented.add(ours.Counts, theirs)
		}
	}
	var b strings.Builder
	b.WriteString("**How good the slices are**: halls/pods/SUs/racks touched, compared level by level, halls first. Bulkhead better / equal / worse " +
		"than Slurm, than Kueue, and than the better of the two in each case:\n\n")
	table := [][]string{{"taken", "cases", "than Slurm", "than Kueue", "than the better peer"}}
	for _, percent := range percents {
		t := perPercent[percent]
		if t == nil {
			continue
		}
		line := []string{fmt.Sprintf("%d %%", percent), report.Number(t[0].all())}
		for _, x := range t {
			line = append(line, fmt.Sprintf("%d / %d / %d", x.better, x.equal, x.worse))
		}
		table = append(table, line)
	}
	b.WriteString(report.Table(table))
	b.WriteString("On the empty site all tie, mostly. Slurm's switches here are SUs, pods and halls, as cabled; racks are not switches, so that it cannot count them. " +
		"Kueue knows all four levels. Neither claims to be optimal, and neither says how far from it an answer is.\n\n")
	b.WriteString(examples(rows))
	b.WriteString(collectives(cases))
	bars := []report.Bar{
		{ID: "B2", Text: "never worse than a peer in any case", Met: peers[0].worse+peers[1].worse == 0,
			Got: fmt.Sprintf("%s cases, worse in %d", report.Number(len(cases)), peers[0].worse+peers[1].worse)},
		{ID: "B2", Text: "strictly better than both peers in most fragmented cases", Met: 2*fragmented.better > fragmented.all(),
			Got: fmt.Sprintf("in %d of %d (%.0f %%), equal to the better peer in %d", fragmented.better, fragmented.all(), 100*float64(fragmented.better)/math.Max(1, float64(fragmented.all())), fragmented.equal)},
	}
	return b.String(), bars
}

// examples is the first seed at half occupancy, as place.md's table is.
func examples(rows []placed) string {
	var b strings.Builder
	for _, site := range sitesOf(rows) {
		table := [][]string{{"asked", "lower bound of each level", "Bulkhead", "Slurm", "Kueue", "all-to-all bound, ms", "links shared with others"}}
		free := 0
		for _, c := range byCase(rows) {
			if c[0].Site != site || c[0].Percent != 50 || c[0].Seed != 1 {
				continue
			}
			free = c[0].FreeNodes
			line := []string{report.Number(c[0].Asked), c[0].Bound.String()}
			var alltoall, shared []string
			for _, r := range c {
				line = append(line, r.Counts.String())
				alltoall = append(alltoall, fmt.Sprintf("%.2f", r.AllToAll/1e6))
				shared = append(shared, report.Number(r.Shared))
			}
			table = append(table, append(line, strings.Join(alltoall, " / "), strings.Join(shared, " / ")))
		}
		if len(table) > 1 {
			fmt.Fprintf(&b, "One occupancy of %s (half taken, seed 1, %s nodes free); the last two columns are Bulkhead / Slurm / Kueue:\n\n%s", site, report.Number(free), report.Table(table))
		}
	}
	return b.String()
}

// collectives compares the all-to-all bounds, which no contender minimises.
func collectives(cases [][]placed) string {
	table := [][]string{{"taken", "Slurm / Bulkhead", "Kueue / Bulkhead", "Slurm / Bulkhead, pods 7:1", "Kueue / Bulkhead, pods 7:1"}}
	for _, percent := range percents {
		var ratios [4][]float64
		for _, c := range cases {
			if c[0].Percent == percent && c[0].AllToAll > 0 {
				for i := range 2 {
					ratios[i] = append(ratios[i], c[i+1].AllToAll/c[0].AllToAll)
					ratios[i+2] = append(ratios[i+2], c[i+1].Tapered/c[0].Tapered)
				}
			}
		}
		if len(ratios[0]) == 0 {
			continue
		}
		line := []string{fmt.Sprintf("%d %%", percent)}
		for _, r := range ratios {
			slices.Sort(r)
			line = append(line, fmt.Sprintf("%.3f (%.3f to %.3f)", r[len(r)/2], r[0], r[len(r)-1]))
		}
		table = append(table, line)
	}
	return "The all-to-all bound of the peers' slices over that of Bulkhead's, in the middle (least to most). On these sites, which have no taper, a node's own links are the limit for all, so that all tie. " +
		"With pods tapered 7 to 1 the same slices differ, and the bound *rewards spreading*: below 1 a peer's slice is over more pods and so has more uplinks, which it shares with others. " +
		"No contender minimises it:\n\n" + report.Table(table)
}

func sitesOf(rows []placed) []string {
	var out []string
	for _, r := range rows {
		if !slices.Contains(out, r.Site) {
			out = append(out, r.Site)
		}
	}
	return out
}

func asksOn(rows []placed, site string) []int {
	var out []int
	for _, r := range rows {
		if r.Site == site && !slices.Contains(out, r.Asked) {
			out = append(out, r.Asked)
		}
	}
	slices.Sort(out)
	return out
}
