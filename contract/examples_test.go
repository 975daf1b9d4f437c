package contract

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func example(t testing.TB, size, name string) *Contract {
	t.Helper()
	path := filepath.Join("..", "examples", size, name+".yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("examples/"+size+"/"+name+".yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sellable is what the example sites can sell: nodes without spares, by
// fabric, kind and month of first delivery.
var sellable = map[string]map[string][3]int64{
	"colossus": {"roce/H100": {9228, 15380, 15380}, "ib/H100": {3076, 3076, 3076}, "roce/H200": {0, 6152, 30760}},
	"small":    {"roce/H100": {42, 56, 56}, "ib/H100": {14, 14, 14}, "roce/H200": {0, 14, 42}},
	"tiny":     {"roce/H100": {14, 14, 14}, "ib/H100": {14, 14, 14}, "roce/H200": {0, 14, 28}},
}

func TestExamplesAreSoundAndFitTheirSites(t *testing.T) {
	for size, supply := range sellable {
		sold := map[string][3]int64{}
		for _, name := range []string{"flagship-amendment", "tidewater", "research"} {
			c := example(t, size, name)
			if !c.Fictional {
				t.Errorf("%s/%s does not say that it is fictional", size, name)
			}
			for _, tr := range c.Tranches {
				by := sold[tr.Fabric+"/"+tr.Kind]
				for m := range by {
					// The amendment takes what Tidewater, under notice, has given
					// back by then: in May it holds it, from June on it does not.
					if name == "tidewater" && m > 0 {
						continue
					}
					if _, monthEnd := MonthOf(mustZone(t, c.TimeZone), tr.Delivery); int(monthEnd.AddDate(0, 0, -1).Month())-5 <= m {
						by[m] += tr.GPUs / NodeGPUs
					}
				}
				sold[tr.Fabric+"/"+tr.Kind] = by
			}
		}
		for what, by := range sold {
			for m := range by {
				if by[m] > supply[what][m] {
					t.Errorf("%s: month %d: %d nodes of %s sold, %d to sell", size, m+5, by[m], what, supply[what][m])
				}
			}
		}
		first, second := example(t, size, "flagship"), example(t, size, "flagship-amendment")
		if err := first.Amend(second); err != nil {
			t.Errorf("%s: amendment: %v", size, err)
		}
	}
}

func TestCanonicalJSONRoundTrips(t *testing.T) {
	for _, name := range []string{"flagship", "flagship-amendment", "tidewater", "research"} {
		c := example(t, "colossus", name)
		data := c.Encode()
		back, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, c) {
			t.Errorf("%s: decoded contract differs", name)
		}
		if !bytes.Equal(back.Encode(), data) {
			t.Errorf("%s: encodes to other bytes after decoding", name)
		}
		for i := range data {
			changed := bytes.Clone(data)
			changed[i] ^= 1
			if other, err := Decode(changed); err == nil && bytes.Equal(other.Encode(), data) {
				t.Fatalf("%s: flipped byte %d decodes to the same contract", name, i)
			}
		}
		for _, extra := range []string{" ", "\n", "{}", "x"} {
			if _, err := Decode(append(bytes.Clone(data), extra...)); err == nil {
				t.Errorf("%s: accepts %q behind the contract", name, extra)
			}
		}
	}
}

func TestFlagshipPricesAsReported(t *testing.T) {
	p, err := Price(example(t, "colossus", "flagship"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Spans) != 3 {
		t.Fatalf("%d spans, expected the two ramp months and the rest", len(p.Spans))
	}
	full := p.Spans[2]
	if full.GPUs != 350_000 || full.Month != "1250000000.00" || full.Hour730 != "4.8924" {
		t.Errorf("full ramp: %d GPUs, %s a month, %s a GPU-hour; expected 350000, 1250000000.00, 4.8924", full.GPUs, full.Month, full.Hour730)
	}
	// 320M + 640M + 35 months of 1.25B, by hand.
	if p.Total != "44710000000.00" {
		t.Errorf("total %s, expected 44710000000.00", p.Total)
	}
}
