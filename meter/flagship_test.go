package meter

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"bulkhead/contract"
)

func exampleContract(t testing.TB, size, name string) *contract.Contract {
	t.Helper()
	path := filepath.Join("..", "examples", size, name+".yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Parse(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The flagship's first three months, worked out by hand.
func TestFlagshipMonths(t *testing.T) {
	first := exampleContract(t, "colossus", "flagship")
	versions := []*contract.Contract{first, exampleContract(t, "colossus", "flagship-amendment")}
	up := func(entry uint64, tranche, slots, at string) Event {
		return Event{Entry: entry, Lease: "flagship/" + tranche, Tranche: tranche, Slots: slots, At: instant(t, at), State: Up, Cause: "delivered"}
	}
	down := up(3, "t1", "17", "2026-05-10T00:00:00-07:00")
	down.State, down.Cause = DownOwner, "gpu"
	events := []Event{
		up(1, "t1", "0-8999", "2026-04-30T12:00:00-07:00"), // early: billed from its date
		down, up(4, "t1", "17", "2026-05-10T05:00:00-07:00"),
		up(5, "t2a", "0-5499", "2026-06-01T00:00:00-07:00"),
		up(6, "t2b", "0-5999", "2026-06-01T00:00:00-07:00"),
		up(7, "t4", "0-2559", "2026-06-15T00:00:00-07:00"),
		up(8, "t3", "0-19999", "2026-07-01T00:00:00-07:00"),
		up(9, "t3", "20000-23249", "2026-07-22T00:00:00-07:00"), // three weeks late, two of them grace
	}
	month := func(m time.Month) map[string]string {
		period, err := Month(first.TimeZone, 2026, m)
		if err != nil {
			t.Fatal(err)
		}
		invoice, err := Rate(versions, events, period, "F-"+m.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Log("\n" + invoice.Text())
		lines := map[string]string{"total": invoice.Total}
		for _, l := range invoice.Lines {
			lines[l.ID] = l.Amount
			lines[l.ID+" entries"] = l.Entries.String()
		}
		return lines
	}
	for m, want := range map[time.Month]map[string]string{
		// One node of 8 GPUs down for 5 h: 4 h at 100 %, 1 h at 150 %.
		// 320e6 x 115,200 / (72,000 x 2,678,400) = 191.16; 320e6 x 28,800 / (...) x 1.5 = 71.68
		time.May: {"fee": "320000000.00", "sla/node-availability/t1": "-191.16", "sla/node-availability/t1 entries": "3-4", "sla/replacement-time/t1": "-71.68", "total": "319999737.16"},
		// t4: 20,480 GPUs for 16 days by the hour: 20,480 x 384 x 4.28 = 33,659,289.60
		time.June: {"fee": "640000000.00", "usage/t4": "33659289.60", "total": "673659289.60"},
		// t3: 3,250 nodes = 26,000 GPUs three weeks late.
		// 1.25e9 x 26,000 x 21 / (350,000 x 31) = 62,903,225.81, and half of it again for the 7 days after the grace: 10,483,870.97
		time.July: {"fee": "1250000000.00", "late/t3": "-62903225.81", "late/t3 entries": "9", "late-extra/t3": "-10483870.97", "late-extra/t3 entries": "9",
			"usage/t4": "65214873.60", "total": "1241827776.82"},
	} {
		lines := month(m)
		for id, amount := range want {
			if lines[id] != amount {
				t.Errorf("%s %s: %s, expected %s (%v)", m, id, lines[id], amount, lines)
			}
		}
	}
}
