package book

import (
	"cmp"
	"slices"
	"strings"
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
