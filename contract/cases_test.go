package contract

import (
	"os"
	"strings"
	"testing"
)

// The prices of small contracts over odd months, to the cent.
func TestPricesOverOddMonths(t *testing.T) {
	for name, want := range map[string]string{
		"dst-fall": "45567.20", "dst-fall-flat": "500693.48", "lordhowe": "45535.60", "jan31": "996543.78", "leap": "965517.24", "casa": "42533.60",
	} {
		data, err := os.ReadFile("testdata/cases/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(name+".yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Price(c)
		if err != nil {
			t.Fatal(err)
		}
		if p.Total != want || p.TotalIs != "without tax: the contract names none" {
			t.Errorf("%s: %s, %s; expected %s", name, p.Total, p.TotalIs, want)
		}
		taxed, err := Parse(name+".yaml", append(data, "tax: {name: Sales tax, rate: 8.25%}\n"...))
		if err != nil {
			t.Fatal(err)
		}
		if p, err = Price(taxed); err != nil || p.Total != want || p.Tax == nil || !strings.Contains(p.TotalIs, "Sales tax comes on top of it, 8.25 %") {
			t.Errorf("%s with tax: %+v (%v)", name, p, err)
		}
	}
}
