package contract

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
)

func flagshipText(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../examples/small/flagship.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Each case changes one line of a good contract. The error must name that
// line, the field, and say what was expected.
func TestBadContractsAreRefusedWithLineAndField(t *testing.T) {
	good := flagshipText(t)
	for _, tc := range []struct {
		name, old, new string // old's first place in the file is replaced
		field, want    string
	}{
		{"unknown field", "currency: USD", "currencies: USD", "currencies", "unknown field"},
		{"unknown nested field", "    gpus: 288", "    gpu: 288", "tranches[0].gpu", "unknown field"},
		{"field twice", "currency: USD", "tenant: flagship", "tenant", ""},
		{"unknown currency", "currency: USD", "currency: DOGE", "currency", "ISO 4217"},
		{"unknown zone", "time_zone: America/Los_Angeles", "time_zone: Mars/Olympus", "time_zone", "not a time zone"},
		{"the machine's zone", "time_zone: America/Los_Angeles", "time_zone: Local", "time_zone", "expected"},
		{"end before begin", "\nend: 2029-06-01", "\nend: 2026-04-01", "end", "not after"},
		{"no such day", "\nend: 2029-06-01", "\nend: 2029-02-30", "end", "expected a date"},
		{"absurd term", "\nend: 2029-06-01", "\nend: 2129-06-01", "end", "30 years"},
		{"absurd size", "gpus: 288", "gpus: 1_000_000_000_000_000_000", "tranches[0].gpus", "whole number"},
		{"absurd size with exponent", "gpus: 288", "gpus: 1e18", "tranches[0].gpus", "whole number"},
		{"too many GPUs", "gpus: 288", "gpus: 100_000_000_000", "tranches[0].gpus", "expected 8 to 16000000"},
		{"half a node in a segment", "gpus: 288", "gpus: 288\n    segment_gpus: 12", "tranches[0].segment_gpus", "multiple of 8"},
		{"half a segment", "gpus: 288", "gpus: 288\n    segment_gpus: 128", "tranches[0].segment_gpus", "not whole segments"},
		{"segments and split racks", "gpus: 288", "gpus: 288\n    segment_gpus: 96\n    split_racks: true", "tranches[0].segment_gpus", "leave one of them out"},
		{"half a node", "gpus: 288", "gpus: 292", "tranches[0].gpus", "multiple of 8"},
		{"no GPUs", "gpus: 288", "gpus: 0", "tranches[0].gpus", "expected 8"},
		{"negative GPUs", "gpus: 288", "gpus: -8", "tranches[0].gpus", "expected 8"},
		{"negative price", "price: 1_280_000", "price: -1", "rates[0].price", "negative"},
		{"price in words", "price: 1_280_000", "price: cheap", "rates[0].price", "not a decimal"},
		{"price with exponent", "price: 1_280_000", "price: 1e300", "rates[0].price", "not a decimal"},
		{"price not a number", "price: 1_280_000", "price: .nan", "rates[0].price", "expected"},
		{"absurd price", "price: 1_280_000", "price: 999_999_999_999_999", "rates[0].price", "at most"},
		{"unknown basis", "basis: month", "basis: fortnight", "rates[0].basis", "month or gpu-hour"},
		{"overlapping rates", "    to: 2026-06-01", "    to: 2026-06-15", "rates[1].from", "overlaps rates[0] for tranche t1"},
		{"gap between rates", "    to: 2026-06-01", "    to: 2026-05-20", "tranches[0].id", "no price from 2026-05-20 until 2026-06-01"},
		{"rate of no tranche", "tranches: [t1]", "tranches: [t9]", "rates[0].tranches[0]", "no tranche"},
		{"rate names a tranche twice", "tranches: [t1]", "tranches: [t1, t1]", "rates[0].tranches[1]", "listed twice"},
		{"rate ends before it begins", "    to: 2026-06-01", "    to: 2026-04-01", "rates[0].to", "not after"},
		{"delivery before the term", "delivery: 2026-05-01", "delivery: 2026-04-01", "tranches[0].delivery", "outside the term"},
		{"delivery after the term", "delivery: 2026-05-01", "delivery: 2030-05-01", "tranches[0].end", "not after"},
		{"duplicate tranche", "id: t2a", "id: t1", "tranches[1].id", "earlier tranche"},
		{"bad id", "id: t2a", "id: T 2/a", "tranches[1].id", "lower-case"},
		{"unknown links", "links: shared", "links: tied", "tranches[0].links", "shared or hermetic"},
		{"no such volume", "volumes: [datasets]", "volumes: [attic]", "tranches[0].volumes[0]", "no volume"},
		{"late discount over 1", "late_discount: 50%", "late_discount: 150%", "tranches[0].late_discount", "at most 1"},
		{"unknown metric", "metric: degraded", "metric: happiness", "sla[3].metric", "expected node-availability"},
		{"rule that never applies", "metric: replacement-time   # still down after 4 hours\n    after: 4h", "metric: node-availability", "sla[1].metric", "never applies"},
		{"span without unit", "after: 4h", "after: 4", "sla[0].after", "such as 15m"},
		{"tiers in the wrong order", "{below: 99%, credit: 200%}", "{below: 100%, credit: 200%}", "sla[0].tiers[1].below", "best to the worst"},
		{"cap over 1", "credit_cap: 30%", "credit_cap: 300%", "credit_cap", "at most 1"},
		{"no unknown rule", "  then: down-owner", "  then: whatever", "unknown.then", "up or down-owner"},
		{"no remedy", "remedy: reduce", "remedy: shrug", "termination[1].remedy", "terminate or reduce"},
		{"version 0", "version: 1", "version: 0", "version", "expected 1"},
		{"number in quotes is text", "notice_days: 90", "notice_days: ninety", "notice_days", "whole number"},
		{"list for a value", "tenant: flagship", "tenant: [a, b]", "tenant", "found a list"},
		{"value for a list", "tranches: [t1]", "tranches: t1", "rates[0].tranches", "expected a list"},
		{"nothing", "tenant: flagship", "tenant:", "tenant", "found nothing"},
		{"anchor", "tenant: flagship", "tenant: &a flagship", "tenant", "anchor"},
		{"tag", "tenant: flagship", "tenant: !!str flagship", "tenant", "tag"},
		{"control character", "title: Northstar", "title: \"\\e[31mNorthstar\"\n#", "title", "can't be printed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(good, tc.old) {
				t.Fatalf("the example has no %q", tc.old)
			}
			at := strings.Index(good, tc.old)
			text := strings.Replace(good, tc.old, tc.new, 1)
			_, err := Parse("c.yaml", []byte(text))
			var all claim.Problems
			if !errors.As(err, &all) {
				t.Fatalf("error %v, expected claim.Problems", err)
			}
			line := 1 + strings.Count(good[:at], "\n")
			for _, one := range all {
				if (one.Field == tc.field || tc.field == "tenant" && one.Field == "") && strings.Contains(one.Error(), tc.want) {
					if one.File != "c.yaml" || one.Line < 1 || one.Line > strings.Count(text, "\n")+1 {
						t.Errorf("%v: not a place in the file", one)
					}
					// The field's own line, where the change is on the field itself.
					if tc.field != "sla[1].metric" && strings.HasPrefix(strings.TrimLeft(tc.new, "\n "), lastPart(tc.field)+":") && one.Line != line+strings.Count(tc.old[:len(tc.old)-len(strings.TrimLeft(tc.old, "\n"))], "\n") {
						t.Errorf("%v: expected line %d", one, line)
					}
					return
				}
			}
			t.Fatalf("expected an error about %s that says %q, got\n%v", tc.field, tc.want, err)
		})
	}
}

func lastPart(field string) string {
	return field[strings.LastIndexByte(field, '.')+1:]
}

func TestHopelessFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"only comments":   "# nothing\n",
		"a list":          "- a\n- b\n",
		"a word":          "contract",
		"two documents":   "id: a\n---\nid: b\n",
		"not YAML":        "id: [a, b\ntenant: {",
		"tabs":            "\tid: a",
		"not UTF-8":       "id: \xff\xfe",
		"too large":       "# " + strings.Repeat("x", MaxFile),
		"brackets":        "id: " + strings.Repeat("[", 5000),
		"dashes":          strings.Repeat("- ", 5000) + "a",
		"nested mappings": "a: " + strings.Repeat("{a: ", 3000),
		"merge":           "<<: {id: a}\nid: b\n",
		"alias bomb":      "a: &a [x]\nb: [*a, *a]\nid: *a\n",
		"number as key":   "1: a\n",
	} {
		if _, err := Parse("c.yaml", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		} else if !strings.HasPrefix(err.Error(), "c.yaml:") {
			t.Errorf("%s: error without file and line: %v", name, err)
		}
	}
}

func TestAmendmentRules(t *testing.T) {
	first := example(t, "small", "flagship")
	for name, tc := range map[string]struct {
		change func(*Contract)
		want   string
	}{
		"nothing":           {func(c *Contract) {}, "changes nothing"},
		"skipped number":    {func(c *Contract) { c.Version = 3 }, "expected 2"},
		"another tenant":    {func(c *Contract) { c.Tenant = "tidewater" }, "tenant"},
		"another currency":  {func(c *Contract) { c.Currency = "EUR" }, "currency"},
		"another zone":      {func(c *Contract) { c.TimeZone = "UTC" }, "time_zone"},
		"more of a running": {func(c *Contract) { c.Tranches[0].GPUs += 8 }, "add a tranche"},
		"segments":          {func(c *Contract) { c.Tranches[0].SegmentGPUs = 8 }, "can't change"},
		"split racks":       {func(c *Contract) { c.Tranches[0].SplitRacks = true }, "can't change"},
		"another kind":      {func(c *Contract) { c.Tranches[0].Kind = "H200" }, "can't change"},
		"tranche in the past": {func(c *Contract) {
			t := c.Tranches[0]
			t.ID = "t9"
			c.Tranches = append(c.Tranches, t)
			c.Rates = append(c.Rates, Rate{Tranches: []string{"t9"}, From: c.Begin, To: c.End, Basis: PerGPUHour, Price: "4"})
		}, "before"},
		"running one missing": {func(c *Contract) {
			c.Tranches = c.Tranches[1:]
			c.Rates = c.Rates[1:]
			c.Rates[0].Tranches, c.Rates[1].Tranches = []string{"t2a", "t2b"}, []string{"t2a", "t2b", "t3"}
		}, "is missing"},
		"volume missing": {func(c *Contract) {
			c.Storage = nil
			for i := range c.Tranches {
				c.Tranches[i].Volumes = nil
			}
		}, "storage"},
	} {
		next := first.Clone()
		next.Version, next.Effective = 2, first.Begin.AddDate(0, 0, 20)
		tc.change(next)
		if err := first.Amend(next); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, expected one that says %q", name, err, tc.want)
		}
	}
	fewer := first.Clone()
	fewer.Version, fewer.Effective = 2, first.Begin.AddDate(0, 0, 20)
	fewer.Tranches[0].GPUs -= 8
	fewer.Rates[0].Price = "1"
	if err := first.Amend(fewer); err != nil {
		t.Errorf("fewer GPUs at a lower fee: %v", err)
	}
}

func TestNoticeEndsOnTheRightDay(t *testing.T) {
	c := example(t, "small", "tidewater") // 30 days, prepaid in 12 instalments
	loc := mustZone(t, c.TimeZone)
	given := time.Date(2026, 7, 14, 23, 30, 0, 0, loc)
	next, err := c.Notice(given)
	if err != nil {
		t.Fatal(err)
	}
	// 30 full days after 14 July: the last one is 13 August.
	if want := StartOfDay(loc, 2026, 8, 14); !next.End.Equal(want) {
		t.Errorf("ends %s, expected %s", next.End.In(loc), want.In(loc))
	}
	if next.Version != 2 || !next.Effective.Equal(given) || next.Tranches[0].End != next.End || next.Rates[0].To != next.End {
		t.Errorf("version %d from %s: tranches and rates are not cut at the end", next.Version, next.Effective)
	}
	if next.Prepaid.Months != 4 || next.Prepaid.Amount != "32000" {
		t.Errorf("prepaid: %d instalments of %s in all, expected 4 and 32000", next.Prepaid.Months, next.Prepaid.Amount)
	}
	if _, err := c.Notice(c.End.AddDate(0, 0, -10)); err == nil {
		t.Error("a notice that ends the contract after its end is accepted")
	}
	flagship := example(t, "small", "flagship")
	early, err := flagship.Notice(time.Date(2026, 5, 2, 9, 0, 0, 0, loc))
	if err != nil {
		t.Fatal(err)
	}
	if want := StartOfDay(loc, 2026, 8, 1); !early.End.Equal(want) || len(early.Tranches) != 4 {
		t.Errorf("flagship: ends %s with %d tranches, expected %s with 4", early.End.In(loc), len(early.Tranches), want.In(loc))
	}
	none := flagship.Clone()
	none.NoticeDays = 0
	if _, err := none.Notice(given); err == nil {
		t.Error("a contract without a right of notice accepts one")
	}
	firm := flagship.Clone()
	firm.FirmUntil = StartOfDay(loc, 2027, 1, 1)
	if ends, err := firm.NoticeEnd(given); err != nil || !ends.Equal(firm.FirmUntil) {
		t.Errorf("firm until 2027: ends %s (%v)", ends, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(flagshipText(f)))
	f.Add([]byte("id: a\ntranches: [{id: b, gpus: 8}]\n"))
	f.Add([]byte("a: &x [*x]\n? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("c.yaml", data)
		if err != nil {
			return
		}
		if _, err := Decode(c.Encode()); err != nil {
			t.Fatalf("an accepted contract does not survive its encoding: %v", err)
		}
		if _, err := Price(c); err != nil {
			t.Fatalf("an accepted contract has no price: %v", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"flagship-amendment", "tidewater", "research"} {
		f.Add(example(f, "tiny", name).Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err == nil && string(c.Encode()) != string(data) {
			t.Fatal("accepts bytes that are not canonical")
		}
	})
}

func FuzzDecimal(f *testing.F) {
	f.Add("1_250_000_000.50")
	f.Add("-0.000")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDecimal(text)
		if err == nil && (!d.Valid() || decimalOf(d.Rat()) != d) {
			t.Fatalf("%q reads as %q, which is not canonical", text, d)
		}
	})
}
