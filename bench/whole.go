package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/evaluate"
	"bulkhead/bench/kueue"
	"bulkhead/bench/report"
	"bulkhead/bench/sites"
	"bulkhead/bench/slurm"
)

// ground is a site that leases come and go on.
type ground struct {
	halls, podNodes, seeds int
	racks                  bool // racks are switches for Slurm too
}

// grounds are the sites of B7. With racks as its lowest switches Slurm's best fit
// keeps racks whole as well. With 6,250 racks slurmctld 22.05 answers nothing in five
// minutes, so on the full site its lowest switches are SUs.
func (f *fight) grounds() []ground {
	if f.size == "small" {
		return []ground{{halls: 2, podNodes: 800, seeds: 1, racks: true}}
	}
	return []ground{
		{halls: 1, podNodes: 3125, seeds: min(f.seeds, 5), racks: true},
		{halls: 4, podNodes: 3125, seeds: min(f.seeds, 2)},
	}
}

// lived is three years of mixed leases under one contender.
type lived struct {
	who             string
	seed            uint64
	leases, refused int
	counts, bounds  evaluate.Counts // sums over all leases that were placed
	months          []monthEnd
}

// monthEnd is what of the site can be leased whole on the last day of a month.
type monthEnd struct {
	whole  evaluate.Whole
	leased int
	most   int            // whole SUs, with these leases, wherever they were
	tidied evaluate.Whole // with the same leases placed again, the largest first; zero but at a year's end
}

// asksWhole are asks for whole SUs in one pod, and the last one in one hall, that are
// tried at each month's end: what a tenant that asks for so much would be told.
var asksWhole = []int{1, 4, 16, 32, 48}

const askOfHall = 96

// whole is B7: mixed leases come and go for three years, each placed where the
// contender says, and what is left of each site is counted.
func (f *fight) whole() (report.Section, error) {
	all := report.Section{}
	var body strings.Builder
	body.WriteString(wholeIntroduction())
	for _, g := range f.grounds() {
		section, err := f.wholeOn(g)
		if err != nil {
			return report.Section{}, err
		}
		body.WriteString(section.Body)
		all.Bars, all.Plots = append(all.Bars, section.Bars...), append(all.Plots, section.Plots...)
	}
	all.Body = body.String()
	return all, nil
}

func (f *fight) wholeOn(g ground) (report.Section, error) {
	tree, err := f.tree(fmt.Sprintf("whole-%d", g.halls*4*g.podNodes), g.halls, 4, g.podNodes)
	if err != nil {
		return report.Section{}, err
	}
	b, err := bulkhead.New(tree)
	if err != nil {
		return report.Section{}, err
	}
	k, err := kueue.New(tree)
	if err != nil {
		return report.Section{}, err
	}
	sl, err := slurm.Start(f.scratch(), tree, g.racks)
	if err != nil {
		return report.Section{}, err
	}
	f.start(sl)
	defer f.close()
	if len(f.versions) == 0 {
		f.versions = []string{sl.Version() + " (Debian)", k.Version()}
	}
	var all []lived
	for seed := range uint64(g.seeds) {
		data, err := f.file(fmt.Sprintf("%s-leases-%d.json", tree.Name, seed+1), sites.EncodeBookings(sites.Mixed(tree.Nodes(), seed+1)))
		if err != nil {
			return report.Section{}, err
		}
		bookings, err := sites.DecodeBookings(data)
		if err != nil {
			return report.Section{}, err
		}
		for _, start := range []func() (contender, error){
			func() (contender, error) { return b, nil },
			func() (contender, error) { return sl, nil },
			func() (contender, error) { return k, nil },
			func() (contender, error) { return kueue.NewLeastFree(k) },
		} {
			c, err := start()
			if err != nil {
				return report.Section{}, err
			}
			one, err := live(tree, bookings, c, b)
			if l, ok := c.(kueue.LeastFree); ok {
				err = errors.Join(err, l.Close())
			}
			if err != nil {
				return report.Section{}, fmt.Errorf("%s, seed %d: %w", c.Name(), seed+1, err)
			}
			one.seed = seed + 1
			all = append(all, one)
			f.say("  seed %d of %d on %s, %s: %d leases, %.1f of at most %.1f SUs whole at a month's end", seed+1, g.seeds, tree.Name, one.who, one.leases, one.mean(wholeSUs), one.mean(mostSUs))
		}
	}
	return wholeSection(tree, g.racks, all), nil
}

// live has a contender place what is asked for over 36 months. A tidied site is what
// Bulkhead would make of the same leases.
func live(t *sites.Tree, bookings []sites.Booking, c contender, tidy contender) (lived, error) {
	l := lived{who: c.Name()}
	o := &sites.Occupancy{Holder: make([]int32, t.Nodes())}
	next := 0
	for day := range sites.Days {
		for i := range bookings[:next] {
			if bookings[i].Gone == day {
				leave(o, int32(i+1))
			}
		}
		for ; next < len(bookings) && bookings[next].Asked <= day; next++ {
			asked := bookings[next].Nodes()
			if asked > o.FreeNodes() {
				l.refused++
				continue
			}
			d, err := decided(o, c, asked)
			if err != nil {
				return l, fmt.Errorf("day %d, %d nodes: %w", day, asked, err)
			}
			counts, err := evaluate.Count(t, o, asked, d)
			if err != nil {
				return l, err
			}
			l.leases++
			l.counts, l.bounds = plus(l.counts, counts), plus(l.bounds, evaluate.Bound(t, o, asked))
			for _, n := range d {
				o.Holder[n] = int32(next + 1)
			}
		}
		if (day+1)%30 != 0 {
			continue
		}
		leased := t.Nodes() - o.FreeNodes()
		m := monthEnd{whole: evaluate.WholeOf(t, o), leased: leased, most: evaluate.MostWholeSUs(t, leased)}
		if (day+1)%360 == 0 {
			var err error
			if m.tidied, err = tidied(t, o, tidy); err != nil {
				return l, err
			}
		}
		l.months = append(l.months, m)
	}
	return l, nil
}

// decided is where a contender puts a lease on the site as it lies.
func decided(o *sites.Occupancy, c contender, asked int) ([]int32, error) {
	if err := c.Occupy(o); err != nil {
		return nil, err
	}
	d, err := c.Place(asked)
	return d.Nodes, err
}

func leave(o *sites.Occupancy, tenant int32) {
	for n, h := range o.Holder {
		if h == tenant {
			o.Holder[n] = sites.Free
		}
	}
}

// tidied places the leases of an occupancy on an empty site again, the largest first.
func tidied(t *sites.Tree, o *sites.Occupancy, c contender) (evaluate.Whole, error) {
	sizes := map[int32]int{}
	for _, h := range o.Holder {
		if h > sites.Free {
			sizes[h]++
		}
	}
	var order []int32
	for h := range sizes {
		order = append(order, h)
	}
	slices.SortFunc(order, func(a, b int32) int {
		if d := sizes[b] - sizes[a]; d != 0 {
			return d
		}
		return int(a - b)
	})
	again := &sites.Occupancy{Holder: make([]int32, t.Nodes())}
	for _, h := range order {
		nodes, err := decided(again, c, sizes[h])
		if err != nil {
			return evaluate.Whole{}, err
		}
		if _, err := evaluate.Count(t, again, sizes[h], nodes); err != nil {
			return evaluate.Whole{}, err
		}
		for _, n := range nodes {
			again.Holder[n] = h
		}
	}
	return evaluate.WholeOf(t, again), nil
}

func plus(a, b evaluate.Counts) evaluate.Counts {
	return evaluate.Counts{Halls: a.Halls + b.Halls, Pods: a.Pods + b.Pods, SUs: a.SUs + b.SUs, Racks: a.Racks + b.Racks}
}

func wholeSUs(m monthEnd) float64 { return float64(m.whole.SUs) }
func mostSUs(m monthEnd) float64  { return float64(m.most) }

// mean is over the months from the seventh on: before that the site fills.
func (l lived) mean(value func(monthEnd) float64) float64 {
	sum, n := 0.0, 0
	for i, m := range l.months {
		if i >= 6 {
			sum += value(m)
			n++
		}
	}
	return sum / float64(n)
}

// wholeRefused is how many of the asks for whole SUs would have been refused.
func (l lived) wholeRefused() (refused, asked int) {
	for _, m := range l.months {
		for _, n := range asksWhole {
			asked++
			if m.whole.SUsOfPod < n {
				refused++
			}
		}
		asked++
		if m.whole.SUsOfHall < askOfHall {
			refused++
		}
	}
	return refused, asked
}

func wholeIntroduction() string {
	var b strings.Builder
	fmt.Fprintf(&b, "For 36 months leases of 1 node to a quarter of the site come and go, links shared, and none ever moves; each contender is given the same asks in the same order and lives with where it put them. "+
		"A lease is refused when fewer nodes are free than it asks for, which is the same for all of them. On the last day of each month it is counted what can still be leased whole: racks, SUs, pods, halls none of whose nodes is leased; and asks for %s whole SUs in one pod and for %d in one hall are tried.\n\n",
		listed(asksWhole), askOfHall)
	b.WriteString("- *bound*: the most SUs that could be whole with as many nodes leased, wherever they were, even if everything moved: nobody who places leases when they are asked for and moves none can know enough to reach it;\n" +
		"- *tidied*: at each year's end the same leases placed again by Bulkhead on an empty site, the largest first: what moving them (`lease defrag`) could give at most, by this heuristic;\n" +
		"- Slurm is `topology/tree` (its best fit); Kueue is its default (best fit) and its profile of least free capacity.\n\n")
	return b.String()
}

func wholeSection(t *sites.Tree, racksAreSwitches bool, all []lived) report.Section {
	var b strings.Builder
	halls, pods, sus, racks := t.Count()
	lowest := "racks are Slurm's lowest switches, so that its best fit keeps racks whole as well"
	if !racksAreSwitches {
		lowest = "SUs are Slurm's lowest switches: with as many racks as switches slurmctld 22.05 answered nothing in five minutes"
	}
	fmt.Fprintf(&b, "### %s nodes\n\nIn %d halls, %d pods, %d SUs and %d racks; %s.\n\n", report.Number(t.Nodes()), halls, pods, sus, racks, lowest)
	table := [][]string{{"seed", "who", "leases", "refused", "whole at a month's end, means from the seventh on: halls / pods / SUs / racks", "bound, SUs", "in the best hall / pod, SUs", "tidied, SUs, at the ends of the years", "asks for whole SUs refused", "SUs a lease / by its bound", "racks a lease / by its bound"}}
	for _, l := range all {
		refused, asked := l.wholeRefused()
		var tidied []string
		for i, m := range l.months {
			if (i+1)%12 == 0 {
				tidied = append(tidied, fmt.Sprintf("%d to %d", m.whole.SUs, m.tidied.SUs))
			}
		}
		per := func(n int) float64 { return float64(n) / float64(max(1, l.leases)) }
		table = append(table, []string{fmt.Sprint(l.seed), l.who, report.Number(l.leases), fmt.Sprint(l.refused),
			fmt.Sprintf("%.2f / %.1f / %.1f / %.0f", l.mean(func(m monthEnd) float64 { return float64(m.whole.Halls) }), l.mean(func(m monthEnd) float64 { return float64(m.whole.Pods) }),
				l.mean(wholeSUs), l.mean(func(m monthEnd) float64 { return float64(m.whole.Racks) })),
			fmt.Sprintf("%.1f", l.mean(mostSUs)),
			fmt.Sprintf("%.1f / %.1f", l.mean(func(m monthEnd) float64 { return float64(m.whole.SUsOfHall) }), l.mean(func(m monthEnd) float64 { return float64(m.whole.SUsOfPod) })),
			strings.Join(tidied, ", "), fmt.Sprintf("%d of %d", refused, asked),
			fmt.Sprintf("%.2f / %.2f", per(l.counts.SUs), per(l.bounds.SUs)), fmt.Sprintf("%.2f / %.2f", per(l.counts.Racks), per(l.bounds.Racks))})
	}
	b.WriteString(report.Table(table))
	plot := t.Name + ".svg"
	fmt.Fprintf(&b, "![whole SUs](%s)\n\n", plot)
	var x []float64
	var series []report.Series
	for _, l := range all {
		if l.seed != 1 {
			continue
		}
		s := report.Series{Name: l.who}
		for _, m := range l.months {
			s.Values = append(s.Values, wholeSUs(m))
		}
		series = append(series, s)
		if len(x) == 0 {
			most := report.Series{Name: "bound"}
			for i, m := range l.months {
				x = append(x, float64(i+1))
				most.Values = append(most.Values, mostSUs(m))
			}
			series = append(series, most)
		}
	}
	return report.Section{Body: b.String(), Bars: wholeBars(t.Name, all),
		Plots: []report.Plot{{File: plot, SVG: report.Lines("SUs that can be leased whole, seed 1", "SUs", "month", x, series)}}}
}

// wholeBars are never worse than a peer, over the seeds, and within 5 % of the bound,
// or why not.
func wholeBars(on string, all []lived) []report.Bar {
	of := map[string][]lived{}
	var order []string
	for _, l := range all {
		if of[l.who] == nil {
			order = append(order, l.who)
		}
		of[l.who] = append(of[l.who], l)
	}
	ours := of["Bulkhead"]
	means := func(who []lived, value func(monthEnd) float64) float64 {
		sum := 0.0
		for _, l := range who {
			sum += l.mean(value)
		}
		return sum / float64(len(who))
	}
	refusals := func(who []lived) (n int) {
		for _, l := range who {
			refused, _ := l.wholeRefused()
			n += refused
		}
		return n
	}
	bar := report.Bar{ID: "B7", Text: "whole SUs at a month's end, and asks for whole SUs refused, never worse than a peer on " + on, Met: true}
	for _, who := range order {
		bar.Got += fmt.Sprintf("%s %.1f SUs, %d refused; ", who, means(of[who], wholeSUs), refusals(of[who]))
		if means(ours, wholeSUs) < means(of[who], wholeSUs) || refusals(ours) > refusals(of[who]) {
			bar.Met = false
		}
	}
	bar.Got = strings.TrimSuffix(bar.Got, "; ")
	got, most := means(ours, wholeSUs), means(ours, mostSUs)
	close := report.Bar{ID: "B7", Text: "whole SUs within 5 % of the offline bound on " + on + ", or why not", Met: got >= 0.95*most, Got: fmt.Sprintf("%.1f of at most %.1f", got, most)}
	if !close.Met {
		now, after := yearEnds(ours)
		close.Excused = now > 0 && after >= now
		close.Got += fmt.Sprintf(": leases end in another order than they came, and none moves. At the ends of the years %d were whole, and %d with the same leases placed anew, the largest first: a tidy-up gives back what is missing", now, after)
	}
	return []report.Bar{bar, close}
}

// yearEnds sums what was whole at the ends of years, and would be if tidied.
func yearEnds(of []lived) (now, after int) {
	for _, l := range of {
		for i, m := range l.months {
			if (i+1)%12 == 0 {
				now, after = now+m.whole.SUs, after+m.tidied.SUs
			}
		}
	}
	return now, after
}

func listed(numbers []int) string {
	var parts []string
	for _, n := range numbers {
		parts = append(parts, fmt.Sprint(n))
	}
	return strings.Join(parts, ", ")
}
