package house

import (
	"regexp"
	"testing"
)

// TestNoZoneOfTheMachine: time.LoadLocation asks ZONEINFO and the machine's database
// first, and two machines gave one contract two prices. A zone is contract.Zone's, from
// this release's own database; what was signed has its rules in itself.
func TestNoZoneOfTheMachine(t *testing.T) {
	asks := regexp.MustCompile(`\btime\.(LoadLocation\(|Local\b)|\.Local\(\)|"time/tzdata"`)
	for _, s := range sources(t) {
		if found := asks.FindString(s.text); !s.test && found != "" {
			t.Errorf("%s has %s: a day, a month or a price would hang on the machine's zone database; use the contract's Location, or contract.Zone", s.path, found)
		}
	}
}
