package meter

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Invariant 1: the states of every slot partition the period exactly.
func TestStatesPartitionEverySlotsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		period := drawPeriod(t, versions)
		intervals, err := Intervals(versions, events, period)
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
		}
		for key, to := range until {
			if !to.Equal(period.To) {
				t.Fatalf("%s ends at %v, the period at %v", key, to, period.To)
			}
		}
		invoice, err := Rate(versions, events, period, "N-1")
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range invoice.Usage {
			var sum int64
			for _, s := range u.States {
				sum += s.GPUSeconds
			}
			if sum != u.Promised {
				t.Fatalf("tranche %s: states add up to %d of %d promised", u.Tranche, sum, u.Promised)
			}
		}
	})
}

// Invariant 2: duplicated or permuted input gives a byte-identical invoice, in
// columns too.
func TestOrderAndDuplicatesDontMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		period := drawPeriod(t, versions)
		want, err := Rate(versions, events, period, "N-1")
		if err != nil {
			t.Fatal(err)
		}
		if len(events) > 0 {
			for _, i := range rapid.SliceOf(rapid.IntRange(0, len(events)-1)).Draw(t, "twice") {
				events = append(events, events[i])
			}
		}
		// One event split into its slots is the same event.
		for i := range events {
			if parts := strings.Split(events[i].Slots, ","); len(parts) > 1 && rapid.Bool().Draw(t, "split") {
				rest := events[i]
				events[i].Slots, rest.Slots = parts[0], strings.Join(parts[1:], ",")
				events = append(events, rest)
			}
		}
		events = rapid.Permutation(events).Draw(t, "order")
		got, err := Rate(versions, events, period, "N-1")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Encode(), want.Encode()) || got.Text() != want.Text() {
			t.Fatalf("invoices differ:\n%s\n%s", want.Text(), got.Text())
		}
		back, err := DecodeInvoice(got.Encode())
		if err != nil || !bytes.Equal(back.Encode(), got.Encode()) || back.Text() != got.Text() {
			t.Fatalf("the invoice does not survive its encoding: %v", err)
		}
	})
}

// No second of a slot is credited twice: what the rules take of a tranche never
// exceeds the time in which it was not as promised.
func TestNoSecondIsCreditedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		changes, err := ChangesOf(drawEvents(t, versions))
		if err != nil {
			t.Fatal(err)
		}
		terms, err := newTerms(versions, drawPeriod(t, versions))
		if err != nil {
			t.Fatal(err)
		}
		if err := terms.run(changes, nil); err != nil {
			t.Fatal(err)
		}
		for _, tr := range terms.tranches {
			for _, s := range tr.segments {
				var taken, bad int64
				for i := range s.taken {
					taken += s.taken[i]
					if s.taken[i] > s.matched[i] || s.taken[i] > 0 != (s.rows[i].bits != nil) {
						t.Fatalf("%s: rule %d takes %d of %d", tr.id, i, s.taken[i], s.matched[i])
					}
				}
				for _, c := range []code{degraded, downOwner, maintenanceNoticed, maintenanceUnnoticed, isolationUnproven, unknown} {
					bad += s.gpus(s.usage[c])
				}
				if taken > bad {
					t.Fatalf("%s: %d GPU-s credited, %d GPU-s were not as promised", tr.id, taken, bad)
				}
			}
		}
	})
}

// Invariant 5: late evidence changes no issued invoice; the corrections in
// later ones bring what was billed to what is right.
func TestCorrectionsBringBilledToRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := drawContracts(t)
		all := drawEvents(t, versions)
		var known [3][]Event // what is known when each month is billed
		for _, e := range all {
			for n := rapid.IntRange(0, 2).Draw(t, "known from"); n < 3; n++ {
				known[n] = append(known[n], e)
			}
		}
		var issued []*Invoice
		for n := range 3 {
			period, err := Month(versions[0].TimeZone, 2026, time.Month(2+n))
			if err != nil {
				t.Fatal(err)
			}
			if !period.From.Before(versions[len(versions)-1].End) {
				continue
			}
			before := make([][]byte, len(issued))
			for i := range issued {
				before[i] = issued[i].Encode()
			}
			invoice, err := RateInput(Input{Versions: versions, Events: known[n], Period: period, Number: fmt.Sprint("N-", n), Earlier: slices.Clone(issued)})
			if err != nil {
				t.Fatal(err)
			}
			for i := range issued {
				if !bytes.Equal(before[i], issued[i].Encode()) {
					t.Fatal("an issued invoice was edited")
				}
			}
			issued = append(issued, invoice)
			if n == 0 || len(issued) <= n {
				continue
			}
		}
		newest := issued[len(issued)-1]
		for _, was := range issued[:len(issued)-1] {
			billed := new(big.Rat)
			sum := func(i *Invoice, take func(Line) bool) {
				for _, l := range i.Lines {
					if take(l) {
						amount, _ := new(big.Rat).SetString(l.Amount)
						billed.Add(billed, amount)
					}
				}
			}
			own := func(l Line) bool {
				return l.Kind != LineTax && l.Kind != LinePrepaid && l.Kind != LineCorrection
			}
			sum(was, own)
			for _, i := range issued {
				sum(i, func(l Line) bool { return l.Corrects == was.Number })
			}
			now, err := Rate(versions, known[len(issued)-1], was.Period, "again")
			if err != nil {
				t.Fatal(err)
			}
			billed.Neg(billed)
			sum(now, own)
			if billed.Sign() != 0 {
				t.Fatalf("%s: %s is missing after all corrections\n%s\n%s", was.Number, billed.FloatString(2), was.Text(), newest.Text())
			}
		}
	})
}

// Every printed formula gives its line's amount, worked out from the text
// alone: that is what a person with a pocket calculator does.
func TestFormulasGiveTheirAmounts(t *testing.T) {
	kinds := map[string]int{}
	check := func(t *rapid.T) {
		versions := drawContracts(t)
		events := drawEvents(t, versions)
		var issued []*Invoice
		for n := range 3 {
			period, err := Month(versions[0].TimeZone, 2026, time.Month(2+n))
			if err != nil {
				t.Fatal(err)
			}
			if !period.From.Before(versions[len(versions)-1].End) {
				break
			}
			know := events
			if n == 0 {
				know = events[:len(events)/2]
			}
			invoice, err := RateInput(Input{Versions: versions, Events: know, Period: period, Number: fmt.Sprint("N-", n), Earlier: issued})
			if err != nil {
				t.Fatal(err)
			}
			issued = append(issued, invoice)
			total := new(big.Rat)
			for _, l := range invoice.Lines {
				kinds[l.Kind]++
				value, err := evaluate(l.Formula)
				if err != nil {
					t.Fatalf("%s: %q: %v", l.ID, l.Formula, err)
				}
				if got := new(big.Rat).SetFrac(roundHalfAway(value.Mul(value, big.NewRat(100, 1))), big.NewInt(100)); got.FloatString(2) != l.Amount {
					t.Fatalf("%s: %s is %s, the line says %s", l.ID, l.Formula, got.FloatString(2), l.Amount)
				}
				amount, _ := new(big.Rat).SetString(l.Amount)
				total.Add(total, amount)
				if (l.Kind == LineCredit || l.Kind == LineUsage) && len(l.Entries) == 0 {
					t.Fatalf("%s: credit or usage that follows from no entry", l.ID)
				}
				if text := invoice.Explain(l.ID); !strings.Contains(text, l.Clause) {
					t.Fatalf("%s: not explained: %s", l.ID, text)
				}
			}
			if total.FloatString(2) != invoice.Total {
				t.Fatalf("total %s, lines add up to %s", invoice.Total, total.FloatString(2))
			}
		}
	}
	want := []string{LineFee, LineUsage, LineTakeOrPay, LineLate, LineLateExtra, LineCredit, LineCap, LineStorage, LineCorrection, LineTax, LinePrepaid}
	missing := func(kind string) bool { return kinds[kind] == 0 }
	for range 10 { // of few draws some kind may be in none
		if rapid.Check(t, check); !slices.ContainsFunc(want, missing) {
			break
		}
	}
	for _, kind := range want {
		if missing(kind) {
			t.Errorf("no %s line was ever drawn", kind)
		}
	}
}

// evaluate works out a printed formula: numbers with separators, %, × / + -
// and brackets; units are skipped.
func evaluate(text string) (*big.Rat, error) {
	text = strings.ReplaceAll(text, "×", "*")
	for _, unit := range []string{"USD", "GPU-s", "GPU", "TB", "s"} {
		text = strings.ReplaceAll(text, " "+unit, "")
	}
	text = strings.NewReplacer(",", "", " ", "").Replace(text)
	e := &evaluator{text: text}
	value := e.sum()
	if e.text != "" || e.bad {
		return nil, fmt.Errorf("can't read %q", e.text)
	}
	return value, nil
}

type evaluator struct {
	text string
	bad  bool
}

func (e *evaluator) take(prefix string) bool {
	rest, ok := strings.CutPrefix(e.text, prefix)
	e.text = rest
	return ok
}

func (e *evaluator) sum() *big.Rat {
	value := e.product()
	for {
		switch {
		case e.take("+"):
			value.Add(value, e.product())
		case e.take("-"):
			value.Sub(value, e.product())
		default:
			return value
		}
	}
}

func (e *evaluator) product() *big.Rat {
	value := e.factor()
	for {
		switch {
		case e.take("*"):
			value.Mul(value, e.factor())
		case e.take("/"):
			divisor := e.factor()
			if divisor.Sign() == 0 {
				e.bad = true
				return value
			}
			value.Quo(value, divisor)
		default:
			return value
		}
	}
}

func (e *evaluator) factor() *big.Rat {
	if e.take("-") {
		value := e.factor()
		return value.Neg(value)
	}
	if e.take("(") {
		value := e.sum()
		e.bad = e.bad || !e.take(")")
		return value
	}
	end := strings.IndexFunc(e.text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(e.text)
	}
	value, ok := new(big.Rat).SetString(e.text[:end])
	if !ok {
		e.bad = true
		return new(big.Rat)
	}
	e.text = e.text[end:]
	if e.take("%") {
		value.Quo(value, big.NewRat(100, 1))
	}
	return value
}
