package book

import (
	"cmp"
	"slices"
	"strings"

	"bulkhead/contract"
)

// sortedKeys lists the keys of a map in order: what is decided must not depend
// on the order in which a map is walked.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func cmpString(a, b string) int { return strings.Compare(a, b) }

// sortByDelivery orders tranches by their date; of one date the order stays.
func sortByDelivery(tranches []contract.Tranche) {
	slices.SortStableFunc(tranches, func(a, b contract.Tranche) int { return a.Delivery.Compare(b.Delivery) })
}
