package draft_test

import (
	"slices"
	"testing"

	"bulkhead/site/draft"
)

func TestNamesWithNumbers(t *testing.T) {
	want := []string{"", "Ethernet4", "Ethernet04/1", "Ethernet4/2", "Ethernet12", "n", "n2", "n10", "n10a", "n10b1", "n10b02", "n18446744073709551617"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, draft.CompareNames)
	if !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}
