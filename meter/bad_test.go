package meter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/contract"
)

func TestBadInputIsRefused(t *testing.T) {
	c := exampleContract(t, "tiny", "flagship")
	versions := []*contract.Contract{c}
	may, err := Month(c.TimeZone, 2026, time.May)
	if err != nil {
		t.Fatal(err)
	}
	good := Event{Entry: 7, Lease: "l", Tranche: "t1", Slots: "0-7", At: may.From, State: Up}
	with := func(change func(*Event)) []Event {
		e := good
		change(&e)
		return []Event{good, e}
	}
	other := c.Clone()
	other.ID = "other"
	for name, tc := range map[string]struct {
		versions []*contract.Contract
		events   []Event
		period   Period
		number   string
		want     string
	}{
		"no contract":           {nil, nil, may, "N", "at least one version"},
		"versions don't follow": {[]*contract.Contract{c, other}, nil, may, "N", "version"},
		"first version missing": {[]*contract.Contract{exampleContract(t, "tiny", "flagship-amendment")}, nil, may, "N", "first version is missing"},
		"invalid contract":      {[]*contract.Contract{{}}, nil, may, "N", "expected"},
		"half a month":          {versions, nil, Period{may.From, may.From.Add(time.Hour)}, "N", "not a calendar month"},
		"month of another zone": {versions, nil, Period{time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}, "N", "not a calendar month"},
		"before the contract":   {versions, nil, Period{may.From.AddDate(0, -1, 0), may.From}, "N", "not in force"},
		"no number":             {versions, nil, may, "", "number"},
		"number with a space":   {versions, nil, may, "N 1", "number"},
		"unknown tranche":       {versions, with(func(e *Event) { e.Tranche = "t9" }), may, "N", "no tranche"},
		"unknown state":         {versions, with(func(e *Event) { e.State = "fine" }), may, "N", "entry 7: slot state"},
		"no slots":              {versions, with(func(e *Event) { e.Slots = "" }), may, "N", "entry 7: slots"},
		"descending slots":      {versions, with(func(e *Event) { e.Slots = "5,3" }), may, "N", "ascending"},
		"overlapping slots":     {versions, with(func(e *Event) { e.Slots = "0-5,5" }), may, "N", "ascending"},
		"range backwards":       {versions, with(func(e *Event) { e.Slots = "5-3" }), may, "N", "ascending"},
		"negative slot":         {versions, with(func(e *Event) { e.Slots = "-1" }), may, "N", "ascending"},
		"absurd slot":           {versions, with(func(e *Event) { e.Slots = "0-99999999999999999999" }), may, "N", "ascending"},
		"slot beyond the sold":  {versions, with(func(e *Event) { e.Slots = "8" }), may, "N", "has 8 slots"},
		"more than was sold":    {versions, with(func(e *Event) { e.Lease = "m" }), may, "N", "16 slots are held"},
		"no time":               {versions, with(func(e *Event) { e.At = time.Time{} }), may, "N", "entry 7: at"},
	} {
		_, err := Rate(tc.versions, tc.events, tc.period, tc.number)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, expected one that says %q", name, err, tc.want)
		}
	}
	if _, err := RateInput(Input{Versions: versions, Events: []Event{good}, Changes: &Changes{}, Period: may, Number: "N"}); err == nil {
		t.Error("accepts events in both forms")
	}
	first, err := Rate(versions, []Event{good}, may, "N-1")
	if err != nil {
		t.Fatal(err)
	}
	june, _ := Month(c.TimeZone, 2026, time.June)
	foreign := *first
	foreign.Contract = "other"
	for name, earlier := range map[string][]*Invoice{
		"of another contract": {&foreign}, "of the same period": {first, first},
	} {
		if _, err := RateInput(Input{Versions: versions, Events: []Event{good}, Period: june, Number: "N-2", Earlier: earlier}); err == nil {
			t.Errorf("accepts an earlier invoice %s", name)
		}
	}
	if _, err := RateInput(Input{Versions: versions, Events: []Event{good}, Period: june, Number: "N-1", Earlier: []*Invoice{first}}); err == nil {
		t.Error("accepts a number twice")
	}
}

// A raised line, a changed total, a hidden field: a decoder that only reads
// refuses what it can see; the rest shows when the month is rated again.
func TestForgedInvoicesDontDecode(t *testing.T) {
	c := exampleContract(t, "tiny", "tidewater")
	may, _ := Month(c.TimeZone, 2026, time.May)
	invoice, err := Rate([]*contract.Contract{c}, []Event{{Entry: 3, Lease: "l", Tranche: "w1", Slots: "0-3", At: may.From, State: Up}}, may, "N-1")
	if err != nil {
		t.Fatal(err)
	}
	good := invoice.Encode()
	if _, err := DecodeInvoice(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if other, err := DecodeInvoice(bad); err == nil && bytes.Equal(other.Encode(), good) {
			t.Fatalf("byte %d: another text decodes to the same invoice", i)
		}
	}
	line := invoice.Lines[0]
	for name, change := range map[string][2]string{
		"raised line":  {`"amount":"` + line.Amount, `"amount":"9` + line.Amount},
		"raised total": {`"total":"`, `"total":"9`},
		"no cents":     {`"amount":"` + line.Amount, `"amount":"1e3`},
		"usage":        {`"gpu_seconds":`, `"gpu_seconds":1`},
		"extra field":  {`{"number"`, `{"discount":"1","number"`},
		"rounding":     {"half away", "half to"},
	} {
		forged := strings.Replace(string(good), change[0], change[1], 1)
		if forged == string(good) {
			t.Fatalf("%s: the invoice has no %q", name, change[0])
		}
		if _, err := DecodeInvoice([]byte(forged)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Months in which the clocks change have their actual seconds, and a flat fee
// stays the flat fee.
func TestMonthsWithChangeOfClocks(t *testing.T) {
	c := exampleContract(t, "tiny", "flagship")
	up := []Event{}
	for n, tr := range c.Tranches {
		up = append(up, Event{Entry: uint64(n + 1), Lease: "l" + tr.ID, Tranche: tr.ID, Slots: fmt.Sprintf("0-%d", tr.Slots()-1), At: tr.Delivery, State: Up})
	}
	for month, seconds := range map[time.Month]int64{time.November: 30*86400 + 3600, time.December: 31 * 86400, time.March + 12: 31*86400 - 3600} {
		period, err := Month(c.TimeZone, 2026, month)
		if err != nil {
			t.Fatal(err)
		}
		invoice, err := Rate([]*contract.Contract{c}, up, period, "N")
		if err != nil {
			t.Fatal(err)
		}
		if got := period.seconds(); got != seconds || invoice.Total != "857000.00" {
			t.Errorf("%s: %d s, %s; expected %d s, 857000.00", period.From.Month(), got, invoice.Total, seconds)
		}
	}
}

func FuzzDecodeInvoice(f *testing.F) {
	c := exampleContract(f, "tiny", "tidewater")
	may, _ := Month(c.TimeZone, 2026, time.May)
	invoice, err := Rate([]*contract.Contract{c}, []Event{{Entry: 3, Lease: "l", Tranche: "w1", Slots: "0-2", At: may.From.Add(time.Hour), State: Up}}, may, "N-1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(invoice.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := DecodeInvoice(data)
		if err != nil {
			return
		}
		if !bytes.Equal(i.Encode(), data) {
			t.Fatal("accepts bytes that are not canonical")
		}
		i.Text()
		for _, l := range i.Lines {
			i.Explain(l.ID)
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add("1-3,5")
	f.Fuzz(func(t *testing.T, text string) {
		var e Entries
		if len(text) > 40 || e.UnmarshalText([]byte(text)) != nil {
			return
		}
		var again Entries
		if err := again.UnmarshalText([]byte(e.String())); err != nil || again.String() != e.String() {
			t.Fatalf("%q reads as %q, which reads as %q", text, e, again)
		}
	})
}

func FuzzSlots(f *testing.F) {
	f.Add("0-63,72")
	f.Fuzz(func(t *testing.T, text string) {
		next := int64(0)
		_ = eachRange(text, func(first, last uint32) error {
			if int64(first) < next || last < first || last >= maxSlots {
				t.Fatalf("%q: range %d-%d after %d", text, first, last, next)
			}
			next = int64(last) + 1
			return nil
		}, 1)
	})
}
