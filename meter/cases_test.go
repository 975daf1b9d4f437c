package meter

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"bulkhead/contract"
)

// Small contracts over odd months: a change of clocks by an hour and by half of one, a
// begin on the 31st, a leap year, rules of a zone that may change. One invoice a month,
// all up from the delivery on, to the cent; a usage line names the entries it follows from.
func TestInvoicesOverOddMonths(t *testing.T) {
	for name, want := range map[string]string{
		"dst-fall": "45567.20", "dst-fall-flat": "500693.48", "lordhowe": "45535.60", "jan31": "32258.06 964285.71", "leap": "965517.24", "casa": "42533.60",
	} {
		data, err := os.ReadFile("../contract/testdata/cases/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		c, err := contract.Parse(name+".yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		again, err := contract.Decode(c.Encode()) // as the ledger has it, and the verifier
		if err != nil {
			t.Fatal(err)
		}
		var totals []string
		for at := again.Begin; at.Before(again.End); {
			period := MonthOf(again, at)
			i, err := Rate([]*contract.Contract{again}, []Event{{Entry: 7, Lease: "l", Tranche: "t1", Slots: "0-1", At: again.Begin, State: Up}}, period, fmt.Sprint("N-", len(totals)+1))
			if err != nil {
				t.Fatal(err)
			}
			totals = append(totals, i.Total)
			if l, used := i.Line("usage/t1"); used && (l.Entries.String() != "7" || !strings.Contains(i.Explain(l.ID), "entries    7")) {
				t.Errorf("%s: the usage line names entries %q:\n%s", name, l.Entries, i.Explain(l.ID))
			}
			at = period.To
		}
		if got := strings.Join(totals, " "); got != want {
			t.Errorf("%s: %s, expected %s", name, got, want)
		}
	}
}

// Usage follows from what handed slots over and what gave them back, in this month or
// before it.
func TestUsageNamesItsEntries(t *testing.T) {
	data, err := os.ReadFile("../contract/testdata/cases/jan31.yaml")
	if err != nil {
		t.Fatal(err)
	}
	hourly := strings.NewReplacer("basis: month", "basis: gpu-hour", "price: 1000000", "price: 2").Replace(string(data))
	c, err := contract.Parse("jan31.yaml", []byte(hourly))
	if err != nil {
		t.Fatal(err)
	}
	february := MonthOf(c, c.End.AddDate(0, 0, -1))
	day := func(n int) Event { return Event{Lease: "l", Tranche: "t1", At: february.From.AddDate(0, 0, n)} }
	event := func(n int, entry uint64, slots string, state SlotState) Event {
		e := day(n)
		e.Entry, e.Slots, e.State = entry, slots, state
		return e
	}
	i, err := Rate([]*contract.Contract{c}, []Event{
		event(-1, 3, "0", Up), event(4, 5, "1", Up), event(6, 6, "0", DownOwner), event(7, 7, "0", Up), event(9, 9, "1", Returned), event(12, 11, "1", Up),
	}, february, "N-1")
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := i.Line("usage/t1"); l.Entries.String() != "3,5,9,11" {
		t.Errorf("the usage line follows from %q, expected what handed over and gave back: 3,5,9,11", l.Entries)
	}
}
