package meter

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/contract"
	"bulkhead/reckoning"

	"pgregory.net/rapid"
)

// watched is what was looked at, for the naive meter: instants and stretches as they
// are drawn, without a thought of gaps.
type watched struct {
	since   int64
	fabrics map[string][]string       // by lease
	seen    map[string][]watchedRange // by fabric, the nodes under ""
}

type watchedRange struct{ from, until int64 }

// missed says whether in the step from t something of a lease was not looked at.
func (w *watched) missed(lease string, t int64) bool {
	if w == nil || t < w.since {
		return false
	}
	for _, what := range append([]string{""}, w.fabrics[lease]...) {
		covered := false
		for _, r := range w.seen[what] {
			covered = covered || r.from <= t && t+stepS <= r.until
		}
		if !covered {
			return true
		}
	}
	return false
}

func (w *watched) leases() map[string][]string {
	if w == nil {
		return nil
	}
	return w.fabrics
}

// seenAt says whether at the instant t all of a lease was looked at.
func (w *watched) seenAt(lease string, t int64) bool {
	for _, what := range append([]string{""}, w.fabrics[lease]...) {
		at := false
		for _, r := range w.seen[what] {
			at = at || r.from <= t && t <= r.until
		}
		if !at {
			return false
		}
	}
	return true
}

// looks is the same as the log's entries tell it.
func (w *watched) looks(t *rapid.T) *Looks {
	if w == nil {
		return nil
	}
	l := &Looks{}
	add := func(entry uint64, at int64, o Observed) {
		if err := l.Add(entry, time.Unix(at, 0), o); err != nil {
			t.Fatal(err)
		}
	}
	add(1000, w.since, Observed{Since: time.Unix(w.since, 0), WithinS: 60})
	entry := uint64(1000)
	for _, what := range []string{"", "roce", "ib"} {
		for _, r := range w.seen[what] {
			entry++
			add(entry, r.until, Observed{WithinS: 60, Looks: []Look{{what, time.Unix(r.from, 0), time.Unix(r.until, 0)}}})
		}
	}
	return l
}

func drawWatched(t *rapid.T, versions []*contract.Contract, events []Event) *watched {
	c := versions[0]
	hours := int64(c.End.Sub(c.Begin)/time.Hour) + 9*24
	start := c.Begin.Unix() - 86400
	w := &watched{since: start + 3600*rapid.Int64Range(-48, hours/2).Draw(t, "since"), fabrics: map[string][]string{}, seen: map[string][]watchedRange{}}
	for _, e := range events {
		if _, known := w.fabrics[e.Lease]; !known {
			w.fabrics[e.Lease] = rapid.SampledFrom([][]string{{}, {"roce"}, {"roce", "ib"}}).Draw(t, "fabrics")
		}
	}
	for _, what := range []string{"", "roce", "ib"} {
		at := w.since
		for range rapid.IntRange(0, 8).Draw(t, "stretches") {
			from := at + 3600*rapid.SampledFrom([]int64{0, 1, 2, 5, 30, 200}).Draw(t, "silence")
			at = from + 3600*rapid.SampledFrom([]int64{0, 0, 1, 7, 100, 400}).Draw(t, "looked")
			w.seen[what] = append(w.seen[what], watchedRange{from, at})
		}
	}
	return w
}

func rateWatched(t *rapid.T, versions []*contract.Contract, events []Event, period Period, w *watched) *Invoice {
	in := Input{Versions: versions, Events: events, Period: period, Number: "N-1", Looks: w.looks(t)}
	if w != nil {
		in.Fabrics = w.fabrics
	}
	i, err := RateInput(in)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestSilenceIsRecomputedToZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		period := drawPeriod(t, versions)
		w := drawWatched(t, versions, events)
		got := rateWatched(t, versions, events, period, w)
		want, have := naiveLooks(versions, events, period, w), linesOf(got)
		if a, b := fmt.Sprint(want), fmt.Sprint(have); a != b {
			t.Fatalf("the naive meter gives\n%s\nthe invoice says\n%s\n%s", a, b, got.Text())
		}
		back, err := DecodeInvoice(got.Encode())
		if err != nil || !bytes.Equal(back.Encode(), got.Encode()) || back.Text() != got.Text() {
			t.Fatalf("the invoice does not survive its encoding: %v", err)
		}
	})
}

// Whatever stretch of observation is taken away, the tenant never pays more for it,
// but for the one cent that a line may be rounded by: for every contract that can be
// signed, since none of them credits a long outage less than a short one.
func TestLessObservationNeverCostsTheTenant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		period := drawPeriod(t, versions)
		w := drawWatched(t, versions, events)
		before := rateWatched(t, versions, events, period, w)
		less := &watched{since: w.since, fabrics: w.fabrics, seen: map[string][]watchedRange{}}
		gone := rapid.SampledFrom([]string{"", "roce", "ib"}).Draw(t, "gone")
		from := w.since + 3600*rapid.Int64Range(0, 900).Draw(t, "from")
		until := from + 3600*rapid.Int64Range(0, 900).Draw(t, "length")
		for what, seen := range w.seen {
			for _, r := range seen {
				if what != gone || r.until < from || r.from > until {
					less.seen[what] = append(less.seen[what], r)
					continue
				}
				if r.from < from {
					less.seen[what] = append(less.seen[what], watchedRange{r.from, from})
				}
				if until < r.until {
					less.seen[what] = append(less.seen[what], watchedRange{until, r.until})
				}
			}
		}
		after := rateWatched(t, versions, events, period, less)
		a, _ := new(big.Rat).SetString(before.Total)
		b, _ := new(big.Rat).SetString(after.Total)
		cents := func(i *Invoice) *big.Rat { return big.NewRat(int64(len(i.Lines)), 100) }
		if b.Cmp(new(big.Rat).Add(a, cents(after))) > 0 {
			t.Fatalf("with less observation %s became %s\n%s\n%s", before.Total, after.Total, before.Text(), after.Text())
		}
		unknownIn := func(i *Invoice) (sum int64) {
			for _, u := range i.Usage {
				for _, s := range u.States {
					if s.State == Unknown {
						sum += s.GPUSeconds
					}
				}
			}
			return sum
		}
		if unknownIn(after) < unknownIn(before) {
			t.Fatal("less observation, and less is unknown")
		}
		// A log that says nothing of looks is what the old rule is for, and costs most.
		if never := rateWatched(t, versions, events, period, nil); never.Silence != nil {
			t.Fatal("silence without a log of looks")
		} else if c, _ := new(big.Rat).SetString(never.Total); c.Cmp(new(big.Rat).Sub(a, cents(before))) < 0 {
			t.Fatalf("%s with looks, %s by the old rule", before.Total, never.Total)
		}
	})
}

// What docs/contracts.md says of a morning in which nobody looked at the nodes, to the
// cent, and once more with one look in it. The second reckoning says the same.
func TestTheReferencesSilence(t *testing.T) {
	at := func(clock string) time.Time {
		when, err := time.Parse(time.RFC3339, "2027-03-09T"+clock+":00Z")
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		level  string
		looked bool // at 10:12
		credit string
	}{
		{"metric: node-availability", false, "[-200.00]"}, // 10:15 until 10:40, 8 a minute
		{"metric: replacement-time, after: 20m", false, "[-40.00]"},
		{"metric: node-availability", true, "[-104.00]"}, // 10:27 until 10:40
		{"metric: replacement-time, after: 20m", true, "[]"},
	} {
		text := `
id: c
version: 1
title: A silence
tenant: t
project: p
currency: USD
time_zone: UTC
begin: 2027-03-01
end: 2027-04-01
tranches: [{id: t1, kind: H100, fabric: ib, gpus: 8, delivery: 2027-03-01}]
rates: [{tranches: [t1], from: 2027-03-01, basis: gpu-hour, price: 60}]
sla: [{` + c.level + `, tiers: [{below: 100%, credit: 100%}]}]
unknown: {grace: 15m, then: down-owner}
`
		signed, err := contract.Parse("c.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		looks := &drawnLooks{since: signed.Begin, fabrics: map[string][]string{"l": {"ib"}}, looked: []Look{
			{"ib", signed.Begin, signed.End}, {"", signed.Begin, at("10:00")}, {"", at("10:12"), at("10:12")}, {"", at("10:40"), signed.End},
		}}
		if !c.looked {
			looks.looked = slices.Delete(looks.looked, 2, 3)
		}
		period, err := Month("UTC", 2027, 3)
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Versions: []*contract.Contract{signed}, Events: []Event{{Entry: 1, Lease: "l", Tranche: "t1", Slots: "0", At: signed.Begin, State: Up}}, Period: period, Number: "N-1", Fabrics: looks.fabrics}
		tell := reckoning.Told{Files: []string{text}, Events: told(in.Events)}
		if in.Looks, tell.Seen, err = looks.first(len(looks.looked)); err != nil {
			t.Fatal(err)
		}
		got, err := RateInput(in)
		if err != nil {
			t.Fatal(err)
		}
		metric, _, _ := strings.Cut(strings.TrimPrefix(c.level, "metric: "), ",")
		line := "sla/" + metric + "/t1"
		if is, again := fmt.Sprint(flat(got)[line]), fmt.Sprint(reckoning.Month(tell, 2027, 3).Lines[line]); is != c.credit || again != c.credit {
			t.Errorf("%s, looked at 10:12: %v: credited %s, reckoned %s, expected %s", c.level, c.looked, is, again, c.credit)
		}
	}
}

// The states of every slot partition its time also where there is silence, and what is
// silent is what no look covers.
func TestSilencePartitionsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		period := drawPeriod(t, versions)
		w := drawWatched(t, versions, events)
		intervals, err := IntervalsInput(Input{Versions: versions, Events: events, Period: period, Looks: w.looks(t), Fabrics: w.fabrics})
		if err != nil {
			t.Fatal(err)
		}
		until := map[string]time.Time{}
		for one := range intervals {
			key := fmt.Sprint(one.Lease, one.Tranche, one.Slot)
			from, ok := until[key]
			if !ok {
				from = period.From
			}
			if !one.From.Equal(from) || !one.To.After(one.From) {
				t.Fatalf("%s: interval %v after %v", key, one, from)
			}
			until[key] = one.To
			for at := one.From.Unix(); at < one.To.Unix(); at += stepS {
				missed := w.missed(one.Lease, at)
				if silent := strings.HasPrefix(one.Cause, "nobody looked at"); silent && (!missed || one.State != Unknown) {
					t.Fatalf("%v is called silent, and it was looked at", one)
				} else if !silent && missed && one.State != Undelivered && one.State != Returned {
					t.Fatalf("%v: nobody looked", one)
				}
			}
		}
		for key, to := range until {
			if !to.Equal(period.To) {
				t.Fatalf("%s ends at %v, the period at %v", key, to, period.To)
			}
		}
	})
}

// An entry that claims looks of the future, of a time that is over, or without an order
// is refused.
func TestLooksThatCannotBe(t *testing.T) {
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	look := func(from, until int) Look { return Look{"roce", at(from), at(until)} }
	for name, c := range map[string]struct {
		o    Observed
		want string
	}{
		"since again":   {Observed{Since: at(3), WithinS: 60}, "since"},
		"no distance":   {Observed{}, "within_s"},
		"of the future": {Observed{WithinS: 60, Looks: []Look{look(20, 61)}}, "looks[0]"},
		"over again":    {Observed{WithinS: 60, Looks: []Look{look(19, 40)}}, "looks[0]"},
		"backwards":     {Observed{WithinS: 60, Looks: []Look{look(40, 30)}}, "looks[0]"},
		"out of order":  {Observed{WithinS: 60, Looks: []Look{look(40, 50), look(30, 35)}}, "looks[1]"},
		"before since":  {Observed{WithinS: 60, Looks: []Look{{"", at(-1), at(5)}}}, "looks[0]"},
	} {
		l := &Looks{}
		if err := l.Add(1, at(0), Observed{Since: at(0), WithinS: 60}); err != nil {
			t.Fatal(err)
		}
		if err := l.Add(2, at(20), Observed{WithinS: 60, Looks: []Look{look(10, 20)}}); err != nil {
			t.Fatal(err)
		}
		was := l.Clone()
		if err := l.Add(3, at(60), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, expected one that says %q", name, err, c.want)
		}
		if fmt.Sprint(*l) != fmt.Sprint(*was) {
			t.Errorf("%s: a refused entry left something behind", name)
		}
	}
	if err := new(Looks).Add(1, at(0), Observed{WithinS: 60, Looks: []Look{look(0, 0)}}); err == nil {
		t.Error("a first entry that does not say since when silence counts is taken")
	}
	if err := new(Looks).Add(1, at(0), Observed{Since: at(1), WithinS: 60}); err == nil {
		t.Error("silence counts from the future on")
	}
}

// One interval goes on over any number of entries.
func TestAnIntervalIsExtended(t *testing.T) {
	start := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	l := &Looks{}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Add(7, start, Observed{Since: start, WithinS: 60}))
	last := start
	for n := range 1000 {
		next := last.Add(5 * time.Minute)
		must(l.Add(uint64(8+n), next, Observed{WithinS: 60, Looks: []Look{{"roce", last, next}, {"", last, next}}}))
		last = next
	}
	if len(l.Seen["roce"]) != 1 || l.Seen["roce"][0].Last != 1007 || len(l.Gaps([]string{"roce"}, last)) != 0 {
		t.Errorf("the looks are %+v", l)
	}
	gaps := l.Gaps([]string{"ib", "roce"}, last.Add(time.Hour))
	if len(gaps) != 1 || !slices.Equal(gaps[0].What, []string{"", "ib", "roce"}) || !gaps[0].From.Equal(start) {
		t.Errorf("the gaps are %+v", gaps)
	}
}
