package contract

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestEndings: what each act settles, by who does it: the fee for leaving early, and what
// is left of a prepayment of 96,000 in twelve months, of which four are drawn.
func TestEndings(t *testing.T) {
	loc := mustZone(t, "America/Los_Angeles")
	given := time.Date(2026, 8, 1, 9, 0, 0, 0, loc)
	for name, row := range map[string]struct {
		act                  Act
		party, early         string
		fee, refund, forfeit Decimal
	}{
		"a tenant's notice":                         {ActNotice, Tenant, "", "", "64000", ""},
		"a tenant's notice, by which it forfeits":   {ActNotice, Tenant, EarlyEndForfeit, "", "", "64000"},
		"the owner's notice, which forfeits none":   {ActNotice, Owner, EarlyEndForfeit, "", "64000", ""},
		"a tenant leaves early, for half":           {ActTerminateEarly, Tenant, EarlyEndForfeit, "half", "", "64000"},
		"a tenant leaves what is late, for nothing": {ActTerminateLate, Tenant, EarlyEndForfeit, "", "64000", ""},
	} {
		c := example(t, "small", "tidewater")
		c.Prepaid.EarlyEnd = row.early
		c.Termination = append(c.Termination, Right{When: WhenEarly, Remedy: RemedyTerminate, By: "either", Fee: "0.5", Clause: "7.9"})
		out, err := c.Perform(Asked{Act: row.act, Party: row.party, Given: given, Missing: []Missing{{Tranche: c.Tranches[0].ID, Slots: 1}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, e := out.Preview, out.Next.Ending
		if row.fee == "half" {
			row.fee = c.share("0.5", Value(c, out.Next.End, c.End, nil))
		}
		if e.Fee != row.fee || e.Refund != row.refund || e.Forfeit != row.forfeit || p.Fee != e.Fee || p.Refund != e.Refund || p.Forfeit != e.Forfeit {
			t.Errorf("%s: fee %q, refund %q, forfeit %q, expected %q, %q, %q\n%s", name, e.Fee, e.Refund, e.Forfeit, row.fee, row.refund, row.forfeit, p.Text())
		}
		if back, err := Decode(out.Next.Encode()); err != nil || back.Ending == nil {
			t.Errorf("%s: its version does not survive its encoding: %v", name, err)
		}
		if !strings.Contains(p.Text(), string(orZero(row.refund))) {
			t.Errorf("%s: the page does not say what is paid back:\n%s", name, p.Text())
		}
	}
	// No file says it.
	text := strings.Replace(flagshipText(t), "\ntermination:", "\nending: {act: notice, party: tenant}\ntermination:", 1)
	if _, err := Parse("c.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "ending: unknown field") {
		t.Errorf("a file that says that an act has ended it: %v", err)
	}
}

func orZero(d Decimal) Decimal {
	if d == "" {
		return "0 USD"
	}
	return d
}

// TestNothingSettledIsForgotten: what is signed after an act takes it back whole, or is refused.
func TestNothingSettledIsForgotten(t *testing.T) {
	loc := mustZone(t, "America/Los_Angeles")
	c := example(t, "small", "tidewater")
	out, err := c.Perform(Asked{Act: ActNotice, Party: Tenant, Given: time.Date(2026, 8, 1, 9, 0, 0, 0, loc)})
	if err != nil {
		t.Fatal(err)
	}
	signed := func(change func(*Contract)) error {
		next := out.Next.Clone()
		next.Version, next.Effective, next.Ending = next.Version+1, next.Effective.Add(time.Hour), nil
		change(next)
		return out.Next.Amend(next)
	}
	back := func(n *Contract) {
		n.End, n.Tranches, n.Rates, n.Storage, n.TakeOrPay = c.End, c.Tranches, c.Rates, c.Storage, c.TakeOrPay
	}
	if err := signed(func(n *Contract) { n.Note = "nothing else" }); err == nil || !strings.Contains(err.Error(), "end: ") || !strings.Contains(err.Error(), "takes the act back") {
		t.Errorf("64,000 that are to be paid back are forgotten: %v", err)
	}
	if err := signed(back); err == nil || !strings.Contains(err.Error(), "prepaid.amount: expected 96000") {
		t.Errorf("a notice is taken back, and the prepayment is less: %v", err)
	}
	if err := signed(func(n *Contract) { back(n); n.Prepaid = c.Prepaid }); err != nil {
		t.Errorf("a notice that is taken back: %v", err)
	}
}

// TestWhatAPortCountsAs: the usual words and leaving them out are one contract.
func TestWhatAPortCountsAs(t *testing.T) {
	read := func(ports, prepaid string) (*Contract, error) {
		data, err := os.ReadFile("../examples/small/tidewater.yaml")
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		text = strings.Replace(text, "  - metric: isolation-proven\n", "  - metric: isolation-proven\n"+ports, 1)
		return Parse("c.yaml", []byte(strings.Replace(text, "  months: 12\n", "  months: 12\n"+prepaid, 1)))
	}
	plain, err := read("", "")
	if err != nil {
		t.Fatal(err)
	}
	said, err := read("    ports: share\n    unclear: not-credited\n", "  early_end: refund\n")
	if err != nil || said.Digest() != plain.Digest() {
		t.Errorf("the usual, written out, is another contract: %v", err)
	}
	other, err := read("    ports: node\n    unclear: credited\n", "  early_end: forfeit\n")
	if err != nil || other.Digest() == plain.Digest() {
		t.Errorf("what is not the usual is the same contract: %v", err)
	}
	for field, bad := range map[string][2]string{
		"sla[2].ports": {"    ports: half\n", ""}, "sla[2].unclear": {"    unclear: half\n", ""}, "prepaid.early_end": {"", "  early_end: burn\n"},
	} {
		if _, err := read(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
