package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/kueue"
	"bulkhead/bench/report"
	"bulkhead/bench/sites"
	"bulkhead/bench/slurm"
)

// failing is B5.
func (f *fight) failing() (report.Section, error) {
	tree, err := f.tree("year-50000", 4, 4, 3125)
	if err != nil {
		return report.Section{}, err
	}
	days, sample, jobs := 365, 150, 8
	if f.size == "small" {
		days, sample, jobs = 60, 25, 2
	}
	data, err := f.file("failures.txt", sites.EncodeFailures(sites.Failures(tree, days, 1)))
	if err != nil {
		return report.Section{}, err
	}
	all, err := sites.DecodeFailures(data, tree.Nodes())
	if err != nil {
		return report.Section{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "50,000 nodes, all of them sold but the spares, the hardest case: leases of 55 %% and 27 %% of the site, and of 64 to 1,063 nodes. %s failures in %d days (%.0f a day), at the "+
		"published rate; that three in four heal by themselves in minutes, and that the others take 24 or 240 hours, is assumed. What heals by itself keeps its node. What does not gets another one, "+
		"all open slots together (`place.Replace`); how long a node needs to be wiped and attested before it is handed over is left out here. "+
		"A slot whose node came from another SU stays there: nothing that works is moved, so that SUs with and without a spare drift apart, "+
		"and fewer replacements stay in their SU than `place.PlanSpares` expects, which takes every node for back where it was once it is repaired.\n\n", report.Number(len(all)), days, float64(len(all))/float64(days))
	table := [][]string{{"spares an SU", "of all nodes", "needed another node", "same rack", "same SU", "same pod", "farther", "same-SU rate", "in the first and the last 30 days", "as PlanSpares expects", "healthy nodes moved", "slots that had to wait", "degraded, slot-hours: no node / healing", "of all slot-hours", "domains of all leases, then and now", "p99 ms"}}
	moved := 0
	var lines []report.Series
	for _, spares := range []int{1, 2, 3} {
		bulk, err := bulkhead.WithSpares(tree, spares)
		if err != nil {
			return report.Section{}, err
		}
		e, err := sold(tree, bulk, 1)
		if err != nil {
			return report.Section{}, err
		}
		before := e.shapes()
		if err := e.live(all, float64(24*days), bulk.Replace); err != nil {
			return report.Section{}, err
		}
		moved += e.moved
		near, err := bulkhead.Near(tree, spares)
		if err != nil {
			return report.Section{}, err
		}
		rate := float64(e.near()) / float64(max(1, e.replaced()))
		var months []float64
		for _, m := range e.byMonth[:max(1, days/30)] {
			months = append(months, 100*float64(m[0])/float64(max(1, m[1])))
		}
		lines = append(lines, report.Series{Name: fmt.Sprintf("%d spares an SU", spares), Values: months})
		share := (e.openHours + e.selfHours) / float64(len(e.slot)*24*days)
		table = append(table, []string{fmt.Sprint(spares), fmt.Sprintf("%.1f %%", 100*(1-float64(len(e.slot))/float64(tree.Nodes()))), report.Number(e.long), report.Number(e.where[sameRack]), report.Number(e.where[sameSU]),
			report.Number(e.where[samePod]), report.Number(e.where[sameHall] + e.where[elsewhere]), fmt.Sprintf("%.1f %%", 100*rate), fmt.Sprintf("%.1f %%, %.1f %%", months[0], months[len(months)-1]), fmt.Sprintf("%.1f %%", 100*near), fmt.Sprint(e.moved), report.Number(e.waited),
			fmt.Sprintf("%s / %s", report.Number(int(e.openHours)), report.Number(int(e.selfHours))), fmt.Sprintf("%.4f %%", 100*share),
			before.String() + ", " + e.shapes().String(), report.Millis(quantile(e.took, 0.99))})
		f.say("  %d spares an SU: %d replaced, %.1f %% in their SU, %d moved", spares, e.replaced(), 100*rate, e.moved)
	}
	b.WriteString(report.Table(table))
	body, err := f.failingPeers(tree, all, sample, jobs)
	if err != nil {
		return report.Section{}, err
	}
	b.WriteString(body)
	var x []float64
	for m := range lines[0].Values {
		x = append(x, float64(m+1))
	}
	plot := report.Plot{File: "same-su.svg", SVG: report.Lines("Replacements in the same SU", "% of replacements", "month of 30 days", x, lines)}
	b.WriteString("![same-su](same-su.svg)\n\n")
	return report.Section{Body: b.String(), Plots: []report.Plot{plot},
		Bars: []report.Bar{{ID: "B5", Text: "no healthy node is ever evicted", Met: moved == 0, Got: fmt.Sprintf("%d of %s failures over %d days, at each of three numbers of spares", moved, report.Number(len(all)), days)}}}, nil
}

// failingPeers asks the peers about the first failures of the same year.
func (f *fight) failingPeers(tree *sites.Tree, all []sites.Failure, sample, jobs int) (string, error) {
	const spares = 1
	bulk, err := bulkhead.WithSpares(tree, spares)
	if err != nil {
		return "", err
	}
	k, err := kueue.New(tree)
	if err != nil {
		return "", err
	}
	// The first failures that need another node, and what lies between them.
	count, cut := 0, 0
	for cut < len(all) && count < sample {
		if !all[cut].Heals {
			count++
		}
		cut++
	}
	first := all[:cut]
	hours := first[cut-1].Hour
	ours, err := sold(tree, bulk, 1)
	if err != nil {
		return "", err
	}
	if err := ours.live(first, hours, bulk.Replace); err != nil {
		return "", err
	}
	theirs, err := sold(tree, bulk, 1)
	if err != nil {
		return "", err
	}
	var failure error
	var searches []time.Duration
	none := 0
	err = theirs.live(first, hours, func(_, failed []int32) []int32 {
		out := make([]int32, len(failed))
		o := theirs.occupancy()
		for i, n := range failed {
			out[i] = -1
			lease := theirs.leaseOf(n)
			k.OccupyAll(o)
			after, took, err := k.Replace(lease, n)
			if err != nil {
				none++ // none found: Kueue evicts the whole workload then
				continue
			}
			searches = append(searches, took)
			got, gone := difference(after, lease), difference(lease, after)
			if len(got) != 1 || len(gone) != 1 || gone[0] != n {
				failure = fmt.Errorf("kueue replaced %v by %v, expected %d by one node", gone, got, n)
				return out
			}
			out[i] = got[0]
			o.Holder[got[0]] = 1
		}
		return out
	})
	if err != nil || failure != nil {
		return "", fmt.Errorf("kueue: %w", errors.Join(failure, err))
	}
	f.say("  Kueue: %d replaced, %d in their SU", theirs.replaced(), theirs.near())
	stopped, placedElsewhere, asked, err := f.requeued(tree, bulk, first, jobs)
	if err != nil {
		return "", err
	}
	table := [][]string{{"the first failures that need another node", "replaced", "in the same SU", "farther than the pod", "none found", "healthy nodes evicted", "p50 ms"},
		{"Bulkhead", fmt.Sprint(ours.replaced()), fmt.Sprintf("%d (%.0f %%)", ours.near(), 100*float64(ours.near())/float64(max(1, ours.replaced()))), fmt.Sprint(ours.where[sameHall] + ours.where[elsewhere]), fmt.Sprint(ours.waited), fmt.Sprint(ours.moved), report.Millis(quantile(ours.took, 0.5))},
		{"Kueue", fmt.Sprint(theirs.replaced()), fmt.Sprintf("%d (%.0f %%)", theirs.near(), 100*float64(theirs.near())/float64(max(1, theirs.replaced()))), fmt.Sprint(theirs.where[sameHall] + theirs.where[elsewhere]), fmt.Sprint(none), fmt.Sprint(theirs.moved), report.Millis(quantile(searches, 0.5))},
		{fmt.Sprintf("Slurm, %d of them", asked), "0", "", "", "", report.Number(stopped), ""}}
	return fmt.Sprintf("The peers on the first of these failures, with %d spare an SU. Kueue replaces a failed node of a running workload (real code, one failure at a time) and moves nobody; of all "+
		"free nodes it takes one in the rack that has the fewest, wherever that is. It knows no spares: here they are simply free nodes. "+
		"**Slurm does not replace a node of a running job**: the job is killed and queued again, and every healthy node of it stops, or it runs on without the node (`--no-kill`). "+
		"Of the healthy nodes that stopped, %s would have been placed elsewhere when it starts again (`sbatch --test-only`).\n\n", spares, report.Number(placedElsewhere)) + report.Table(table), nil
}

// requeued is Slurm: a job loses a node and is placed again.
func (f *fight) requeued(tree *sites.Tree, bulk *bulkhead.Bulkhead, all []sites.Failure, jobs int) (stopped, elsewhere, asked int, err error) {
	s, err := slurm.Start(f.scratch(), tree, false)
	if err != nil {
		return 0, 0, 0, err
	}
	f.start(s)
	defer f.close()
	e, err := sold(tree, bulk, 1)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, failure := range all {
		slot := e.inSlot[failure.Node]
		if failure.Heals || slot < 0 || asked == jobs {
			continue
		}
		asked++
		job := e.leaseOf(failure.Node)
		o := e.occupancy()
		for _, n := range job {
			o.Holder[n] = sites.Free
		}
		o.Holder[failure.Node] = sites.Failed
		if err := s.Occupy(o); err != nil {
			return 0, 0, 0, err
		}
		d, err := s.Place(len(job))
		if err != nil {
			return 0, 0, 0, err
		}
		stopped += len(job) - 1
		elsewhere += len(difference(job, d.Nodes)) - 1
	}
	return stopped, elsewhere, asked, nil
}

// leaseOf lists the nodes of the lease of a node that has, or last had, a slot of
// it, with that node.
func (e *estate) leaseOf(n int32) []int32 {
	slot := e.inSlot[n]
	if slot < 0 {
		slot = int32(slices.Index(e.slot, n))
		for s := range e.open { // the slot that waits for another node
			if e.slot[s] == n {
				slot = s
			}
		}
	}
	var out []int32
	for s, lease := range e.lease {
		if _, open := e.open[int32(s)]; lease == e.lease[slot] && (!open || int32(s) == slot) {
			out = append(out, e.slot[s])
		}
	}
	return out
}

// difference lists what is in a and not in b.
func difference(a, b []int32) []int32 {
	in := map[int32]bool{}
	for _, n := range b {
		in[n] = true
	}
	var out []int32
	for _, n := range a {
		if !in[n] {
			out = append(out, n)
		}
	}
	return out
}
