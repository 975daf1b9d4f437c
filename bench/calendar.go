package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/evaluate"
	"bulkhead/bench/kueue"
	"bulkhead/bench/report"
	"bulkhead/bench/sites"
	"bulkhead/bench/slurm"
)

// dated is what became of one booking with one contender.
type delivered struct {
	booking sites.Booking
	kept    bool
	counts  evaluate.Counts // at its final size, when its last step is delivered
	nodes   []int32
}

// year is what became of all bookings, and what it took to answer.
type outcome struct {
	who     string
	rows    []delivered
	answers []time.Duration
	perDay  []int // nodes leased on each day
	short   int   // reservations with fewer nodes than asked, and no error
}

// event is something that happens on a day of the calendar. Returns come before
// asks, asks before deliveries.
type event struct {
	day, order, booking, step int
}

const (
	returned = iota
	asked
	begins
)

func events(bookings []sites.Booking) []event {
	var out []event
	for i, b := range bookings {
		out = append(out, event{b.Asked, asked, i, 0}, event{b.Gone, returned, i, 0})
		for s, step := range b.Steps {
			out = append(out, event{step.Day, begins, i, s})
		}
	}
	slices.SortStableFunc(out, func(a, b event) int {
		return slices.Compare([]int{a.day, a.order, a.booking, a.step}, []int{b.day, b.order, b.booking, b.step})
	})
	return out
}

// calendar is B4.
func (f *fight) calendar() (report.Section, error) {
	tree, err := f.tree("calendar-50000", 4, 4, 3125)
	if err != nil {
		return report.Section{}, err
	}
	seeds := f.seeds
	if f.size == "small" {
		seeds = 1
	}
	s, err := slurm.Start(f.scratch(), tree, false)
	if err != nil {
		return report.Section{}, err
	}
	f.start(s)
	defer f.close()
	k, err := kueue.New(tree)
	if err != nil {
		return report.Section{}, err
	}
	var all [][]outcome
	for seed := range uint64(seeds) {
		data, err := f.file(fmt.Sprintf("calendar-%d.json", seed+1), sites.EncodeBookings(sites.Calendar(seed+1)))
		if err != nil {
			return report.Section{}, err
		}
		bookings, err := sites.DecodeBookings(data)
		if err != nil {
			return report.Section{}, err
		}
		var row []outcome
		for _, play := range []func(*sites.Tree, []sites.Booking) (outcome, error){
			planned,
			func(t *sites.Tree, b []sites.Booking) (outcome, error) { return reserved(s, t, b) },
			func(t *sites.Tree, b []sites.Booking) (outcome, error) { return onTheDay(k, t, b) },
		} {
			o, err := play(tree, bookings)
			if err != nil {
				return report.Section{}, err
			}
			if err := o.judge(tree); err != nil {
				return report.Section{}, fmt.Errorf("%s, seed %d: %w", o.who, seed+1, err)
			}
			row = append(row, o)
			f.say("  seed %d of %d, %s: %d of %d kept", seed+1, seeds, o.who, o.kept(), len(bookings))
		}
		all = append(all, row)
	}
	return calendarSection(all), nil
}

// promises are a contender's: it answers an ask when it is asked, with its dates.
type promises interface {
	Book(sites.Booking) (bool, error)
	Nodes(b sites.Booking, step int) []int32
	End(b sites.Booking, day int) error
}

// play lets a contender live through all bookings. Each event begins with its day.
func (o *outcome) play(c promises, begin func(day int), bookings []sites.Booking) (err error) {
	o.rows = rowsOf(bookings)
	for _, e := range events(bookings) {
		row := &o.rows[e.booking]
		begin(e.day)
		switch e.order {
		case asked:
			asking := time.Now()
			row.kept, err = c.Book(row.booking)
			o.answers = append(o.answers, time.Since(asking))
		case begins:
			if row.kept {
				row.nodes = append(row.nodes, c.Nodes(row.booking, e.step)...)
			}
		case returned:
			if row.kept && row.booking.Gone < row.booking.End {
				err = c.End(row.booking, e.day)
			}
		}
		if err != nil {
			return fmt.Errorf("day %d, %s: %w", e.day, row.booking.ID, err)
		}
	}
	return nil
}

// planned is Bulkhead: every ask is answered when it is asked, with its dates.
func planned(t *sites.Tree, bookings []sites.Booking) (outcome, error) {
	o := outcome{who: "Bulkhead"}
	c, err := bulkhead.NewCalendar(t, sites.HallDays)
	if err != nil {
		return o, err
	}
	err = o.play(c, c.Advance, bookings)
	return o, err
}

// reserved is Slurm: a reservation a step, made when it is asked.
func reserved(s *slurm.Slurm, t *sites.Tree, bookings []sites.Booking) (outcome, error) {
	o := outcome{who: "Slurm"}
	c, err := slurm.NewCalendar(s, sites.HallDays)
	if err != nil {
		return o, err
	}
	if err := o.play(c, func(int) {}, bookings); err != nil {
		return o, err
	}
	o.short = c.Short
	return o, c.Close()
}

// onTheDay is Kueue: it has no calendar, so that every step is asked when it
// begins, and what does not fit then is refused then.
func onTheDay(k *kueue.Kueue, t *sites.Tree, bookings []sites.Booking) (outcome, error) {
	o := outcome{who: "Kueue", rows: rowsOf(bookings)}
	now := &sites.Occupancy{Holder: make([]int32, t.Nodes())}
	for _, e := range events(bookings) {
		row := &o.rows[e.booking]
		for n, h := range t.Hall { // halls that are not there yet
			if e.day < sites.HallDays[h] {
				now.Holder[n] = sites.Failed
			} else if now.Holder[n] == sites.Failed {
				now.Holder[n] = sites.Free
			}
		}
		switch e.order {
		case begins:
			if e.step > 0 && !row.kept {
				break
			}
			if err := k.Occupy(now); err != nil {
				return o, err
			}
			want := row.booking.Steps[e.step].Nodes
			row.kept = now.FreeNodes() >= want
			begin := time.Now()
			if !row.kept {
				for _, n := range row.nodes { // a ramp that can't go on ends: nobody signs half of it
					now.Holder[n] = sites.Free
				}
				row.nodes = nil
				break
			}
			d, err := k.Place(want)
			if err != nil {
				return o, fmt.Errorf("day %d, %s: %w", e.day, row.booking.ID, err)
			}
			o.answers = append(o.answers, time.Since(begin))
			for _, n := range d.Nodes {
				now.Holder[n] = int32(e.booking + 1)
			}
			row.nodes = append(row.nodes, d.Nodes...)
		case returned:
			for _, n := range row.nodes {
				now.Holder[n] = sites.Free
			}
		}
	}
	return o, nil
}

func rowsOf(bookings []sites.Booking) []delivered {
	rows := make([]delivered, len(bookings))
	for i := range rows {
		rows[i].booking = bookings[i]
	}
	return rows
}

// judge verifies that what was promised was kept: as many nodes as asked, in
// service, and none of them in two leases on any day. It counts the shapes.
func (o *outcome) judge(t *sites.Tree) error {
	o.perDay = make([]int, sites.Days)
	byNode := make([][]*delivered, t.Nodes())
	for i := range o.rows {
		row := &o.rows[i]
		if !row.kept {
			continue
		}
		if len(row.nodes) != row.booking.Nodes() {
			return fmt.Errorf("%s got %d nodes of %d", row.booking.ID, len(row.nodes), row.booking.Nodes())
		}
		var err error
		if row.counts, err = evaluate.Count(t, &sites.Occupancy{Holder: make([]int32, t.Nodes())}, len(row.nodes), row.nodes); err != nil {
			return fmt.Errorf("%s: %w", row.booking.ID, err)
		}
		at := 0
		for _, step := range row.booking.Steps {
			for _, n := range row.nodes[at : at+step.Nodes] {
				if step.Day < sites.HallDays[t.Hall[n]] {
					return fmt.Errorf("%s got node %d on day %d, before it was there", row.booking.ID, n, step.Day)
				}
				for _, other := range byNode[n] {
					if other.from(n) < row.booking.Gone && step.Day < other.booking.Gone {
						return fmt.Errorf("node %d is in %s and in %s", n, row.booking.ID, other.booking.ID)
					}
				}
			}
			at += step.Nodes
			for day := step.Day; day < row.booking.Gone; day++ {
				o.perDay[day] += step.Nodes
			}
		}
		for _, n := range row.nodes {
			byNode[n] = append(byNode[n], row)
		}
	}
	return nil
}

// from is the day from which a lease holds a node.
func (d *delivered) from(n int32) int {
	at := 0
	for _, step := range d.booking.Steps {
		if slices.Contains(d.nodes[at:at+step.Nodes], n) {
			return step.Day
		}
		at += step.Nodes
	}
	return d.booking.End
}

func (o *outcome) kept() int {
	n := 0
	for _, r := range o.rows {
		if r.kept {
			n++
		}
	}
	return n
}

// refused is the share of what was asked, in node-days, that was refused.
func (o *outcome) refused() float64 {
	var no, all int
	for _, r := range o.rows {
		all += r.booking.NodeDays()
		if !r.kept {
			no += r.booking.NodeDays()
		}
	}
	return float64(no) / float64(all)
}

func calendarSection(all [][]outcome) report.Section {
	var b strings.Builder
	b.WriteString("A site of 50,000 nodes that grows (two halls, a third after 45 days, a fourth after 105), 36 months, two contracts of the sizes that the press " +
		"reports (220,000 GPUs with two ramp months, 110,000 GPUs from the fifth month on; how their ramps divide is assumed), and a stream of smaller ones of about 1.2 " +
		"times what the two leave. Every ask has a date and is answered when it is asked.\n\n" +
		"- Bulkhead plans: peak first, then shape; ramps nested in the final slice; what has not begun may be placed again.\n" +
		"- Slurm makes a reservation a step (`scontrol create reservation … NodeCnt=K`), and chooses its nodes then.\n" +
		"- **Kueue has no calendar**, and promises nothing: here each step is asked on the day on which it begins, and what does not fit is refused on that day, " +
		"after it was signed. A ramp whose later step does not fit loses everything. It need not know the future, and that is why it can refuse fewer small asks.\n\n")
	short, made := 0, 0
	for _, row := range all {
		short, made = short+row[1].short, made+len(row[1].rows)
	}
	if short > 0 {
		fmt.Fprintf(&b, "For %d of %d asks Slurm made a reservation of fewer nodes than `NodeCnt`, and called it created. They count as refused here and were deleted; a script that does not "+
			"look again would have oversold the site.\n\n", short, made)
	}
	table := [][]string{{"seed", "", "asks", "refused", "refused, of node-days", "contracts kept", "node-days leased of all there were", "SUs beyond the least, final sizes", "halls+pods beyond the least", "an answer, p50 / p99 ms"}}
	for seed, row := range all {
		for _, o := range row {
			table = append(table, calendarRow(fmt.Sprint(seed+1), o))
		}
	}
	if len(all) > 1 {
		for i := range all[0] {
			var each []outcome
			for _, row := range all {
				each = append(each, row[i])
			}
			table = append(table, calendarRow("all", each...))
		}
	}
	b.WriteString(report.Table(table))
	b.WriteString("The least is that of an empty site. Cost is lexicographic: Bulkhead takes more SUs where that saves a pod or a hall. Shapes at delivery, of leases that both kept; Bulkhead better / equal / worse (each contender has its own past, so that either may be worse in one case):\n\n")
	shapes := [][]string{{"", "than Slurm", "than Kueue"}}
	var t [2]tally
	for _, row := range all {
		for i := range t {
			for j, ours := range row[0].rows {
				if theirs := row[i+1].rows[j]; ours.kept && theirs.kept {
					t[i].add(ours.counts, theirs.counts)
				}
			}
		}
	}
	shapes = append(shapes, []string{"all seeds", fmt.Sprintf("%d / %d / %d", t[0].better, t[0].equal, t[0].worse), fmt.Sprintf("%d / %d / %d", t[1].better, t[1].equal, t[1].worse)})
	for i, name := range []string{"large-1", "large-2"} {
		line := []string{name + ", seed 1, Bulkhead " + all[0][0].rows[i].counts.String()}
		for _, o := range all[0][1:] {
			if o.rows[i].kept {
				line = append(line, o.rows[i].counts.String())
			} else {
				line = append(line, "refused")
			}
		}
		shapes = append(shapes, line)
	}
	b.WriteString(report.Table(shapes))
	var x []float64
	for day := range sites.Days {
		x = append(x, float64(day)/30)
	}
	var series []report.Series
	for _, o := range all[0] {
		s := report.Series{Name: o.who}
		for _, n := range o.perDay {
			s.Values = append(s.Values, float64(n))
		}
		series = append(series, s)
	}
	plot := report.Plot{File: "calendar.svg", SVG: report.Lines("Nodes leased, seed 1", "nodes", "month", x, series)}
	b.WriteString("![calendar](calendar.svg)\n\n")
	return report.Section{Body: b.String(), Plots: []report.Plot{plot}}
}

// calendarRow is one contender's line, over one seed or several.
func calendarRow(label string, seeds ...outcome) []string {
	var asks, kept, leased, there, sus, leastSUs, upper, leastUpper int
	var refused float64
	var large [2]int
	var answers []time.Duration
	for _, o := range seeds {
		asks, kept, refused, answers = asks+len(o.rows), kept+o.kept(), refused+o.refused()/float64(len(seeds)), append(answers, o.answers...)
		for day, n := range o.perDay {
			leased += n
			for _, from := range sites.HallDays {
				if day >= from {
					there += 12_500
				}
			}
		}
		for _, r := range o.rows {
			if r.kept {
				least := ideal(r.booking.Nodes())
				sus, leastSUs = sus+r.counts.SUs, leastSUs+least.SUs
				upper, leastUpper = upper+r.counts.Halls+r.counts.Pods, leastUpper+least.Halls+least.Pods
			}
		}
		for i := range large {
			if o.rows[i].kept {
				large[i]++
			}
		}
	}
	contracts := fmt.Sprintf("%d and %d of %d", large[0], large[1], len(seeds))
	if len(seeds) == 1 {
		word := [...]string{"**no**", "yes"}
		contracts = word[large[0]] + ", " + word[large[1]]
	}
	return []string{label, seeds[0].who, fmt.Sprint(asks), fmt.Sprint(asks - kept), fmt.Sprintf("%.1f %%", 100*refused), contracts,
		fmt.Sprintf("%.1f %%", 100*float64(leased)/float64(there)), fmt.Sprintf("%.1f %%", 100*(float64(sus)/float64(leastSUs)-1)),
		fmt.Sprintf("%.0f %%", 100*(float64(upper)/float64(leastUpper)-1)), pair(answers)}
}

// ideal is what n nodes touch on the empty site of 50,000: halls of 12,500 nodes,
// pods of 3,125, SUs of 64, racks of 8.
func ideal(n int) evaluate.Counts {
	up := func(size int) int { return (n + size - 1) / size }
	return evaluate.Counts{Halls: up(12_500), Pods: up(3125), SUs: up(64), Racks: up(8)}
}
