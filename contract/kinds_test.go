package contract

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bulkhead/claim"
)

// eitherText is a small contract whose tranches accept two kinds each.
const eitherText = `id: either
version: 1
title: either
fictional: true
tenant: acme
project: llm
currency: USD
time_zone: UTC
begin: 2026-06-01
end: 2026-07-01
notice_days: 30
tranches:
  - id: t1
    kinds: [H100, H200]
    fabric: roce
    gpus: 16
    delivery: 2026-06-01
  - id: t2
    kinds: [H200, H100]
    fabric: roce
    gpus: 8
    delivery: 2026-06-01
  - id: t3
    kind: H100
    fabric: roce
    gpus: 8
    delivery: 2026-06-01
rates:
  - {tranches: [t3], from: 2026-06-01, basis: gpu-hour, price: 1}
  - {tranches: [t1, t2], kind: H100, from: 2026-06-01, basis: gpu-hour, price: 2}
  - {tranches: [t1], kind: H200, from: 2026-06-01, basis: gpu-hour, price: 3}
  - {tranches: [t2], kind: H200, from: 2026-06-01, basis: month, price: 5000}
unknown:
  grace: 15m
  then: down-owner
`

func settlementsOf(t *testing.T, text string) (*Contract, []*Contract) {
	t.Helper()
	c, err := Parse("either.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Settlements()
	if err != nil {
		t.Fatal(err)
	}
	return c, all
}

func kindsOf(c *Contract) string {
	var kinds []string
	for _, t := range c.Tranches {
		kinds = append(kinds, t.Kind)
	}
	return strings.Join(kinds, " ")
}

func TestSettlementsAreOrdinaryContracts(t *testing.T) {
	c, all := settlementsOf(t, eitherText)
	if !c.Open() || c.Check() == nil {
		t.Errorf("what is open is taken for a contract: open %v, %v", c.Open(), c.Check())
	}
	if _, err := Decode(c.Encode()); err == nil {
		t.Error("what is open is read from a ledger")
	}
	// 30 days: 720 h of 8 GPUs are 5,760 GPU-hours.
	want := []struct{ kinds, total string }{
		{"H100 H200 H100", "33800.00"}, // 5,760 + 2 * 11,520 + 5,000
		{"H100 H100 H100", "40320.00"},
		{"H200 H200 H100", "45320.00"},
		{"H200 H100 H100", "51840.00"},
	}
	if len(all) != len(want) {
		t.Fatalf("%d settlements, expected %d", len(all), len(want))
	}
	for i, one := range all {
		price, err := Price(one)
		if err != nil {
			t.Fatal(err)
		}
		if kindsOf(one) != want[i].kinds || price.Total != want[i].total {
			t.Errorf("settlement %d: %s for %s, expected %s for %s", i, kindsOf(one), price.Total, want[i].kinds, want[i].total)
		}
		again, err := Decode(one.Encode())
		if err != nil || again.Digest() != one.Digest() || !slices.Equal(again.Tranches[0].Kinds, []string{"H100", "H200"}) {
			t.Errorf("settlement %d does not come back from its canonical form: %v", i, err)
		}
		if !c.SettledBy(one) || one.Open() {
			t.Errorf("settlement %d is not one of what was asked", i)
		}
	}
	other := all[0].Clone()
	other.Rates[0].Price = "9"
	if c.SettledBy(other) {
		t.Error("another price is taken for a settlement")
	}
	other = all[0].Clone()
	other.Tranches[2].Kind, other.Rates[0].Kind = "H100", "H200"
	if err := other.Check(); err == nil || !strings.Contains(err.Error(), `tranche t3 is of "H100"`) {
		t.Errorf("a price of another kind: %v", err)
	}
}

// TestOneRampIsOfOneKind: tranches that would be steps of one ramp in any kind
// are settled together, hermetic ones each by itself.
func TestOneRampIsOfOneKind(t *testing.T) {
	same := strings.Replace(eitherText, "kinds: [H200, H100]", "kinds: [H100, H200]", 1)
	_, all := settlementsOf(t, same)
	if len(all) != 2 || kindsOf(all[0]) != "H100 H100 H100" || kindsOf(all[1]) != "H200 H200 H100" {
		t.Errorf("%d settlements, the first %s", len(all), kindsOf(all[0]))
	}
	_, all = settlementsOf(t, strings.ReplaceAll(same, "    fabric: roce\n", "    fabric: roce\n    links: hermetic\n"))
	if len(all) != 4 {
		t.Errorf("%d settlements of hermetic tranches, expected 4", len(all))
	}
}

func TestBadKindsAreRefusedWithLineAndField(t *testing.T) {
	for _, tc := range []struct{ name, old, new, field, want string }{
		{"one kind", "[H100, H200]", "[H100]", "tranches[0].kinds", "write kind"},
		{"twice", "[H100, H200]", "[H100, H100]", "tranches[0].kinds[1]", "twice"},
		{"no word", "[H100, H200]", "[H100, 'H 2']", "tranches[0].kinds[1]", "letters"},
		{"kind beside kinds", "kinds: [H100, H200]", "kinds: [H100, H200]\n    kind: H300", "tranches[0].kind", "none of the kinds"},
		{"neither", "    kinds: [H100, H200]\n", "", "tranches[0].kind", "expected 1 to 32"},
		{"mixed", "kinds: [H100, H200]", "kinds: [H100, H200]\n    mixed: true", "tranches[0].mixed", "is not offered"},
		{"no price for one", "{tranches: [t1], kind: H200", "{tranches: [t2], kind: H300", "tranches[0].id", "t1 as H200 has no price"},
		{"a price of no kind", "{tranches: [t3]", "{tranches: [t3], kind: H300", "rates[0].kind", `tranche t3 is of "H100"`},
		{"a price that none can have", "unknown:", "  - {tranches: [t1], kind: H300, from: 2026-06-01, basis: gpu-hour, price: 3}\nunknown:", "rates[4].kind", "none of its tranches accepts"},
		{"two prices", "{tranches: [t2], kind: H200", "{tranches: [t2, t1], kind: H200", "rates[3].from", "overlaps rates[2]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(eitherText, tc.old, tc.new, 1)
			_, err := Parse("either.yaml", []byte(text))
			var list claim.Problems
			if !errors.As(err, &list) {
				t.Fatalf("%v", err)
			}
			for _, e := range list {
				if e.Field == tc.field && strings.Contains(e.Reason, tc.want) && e.Line > 10 && e.File == "either.yaml" {
					return
				}
			}
			t.Errorf("no finding about %s with %q in:\n%v", tc.field, tc.want, err)
		})
	}
	wide := strings.Replace(eitherText, "[H100, H200]", "[K1, K2, K3, K4, K5, K6, K7, K8]", 1)
	wide = strings.Replace(wide, "[H200, H100]", "[K1, K2, K3, K4, K5]", 1)
	if _, err := Parse("either.yaml", []byte(wide)); err == nil || !strings.Contains(err.Error(), "more than 32 ways") {
		t.Errorf("40 ways: %v", err)
	}
}
