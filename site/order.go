package site

import (
	"fmt"
	"strconv"
	"strings"
)

// FormatOrder writes nodes in an order that matters ("0-63,128,70-69" is never
// written: a range always ascends).
func FormatOrder(nodes []Index) string {
	var b strings.Builder
	for i := 0; i < len(nodes); {
		j := i
		for j+1 < len(nodes) && nodes[j+1] == nodes[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if i == j {
			fmt.Fprintf(&b, "%d", nodes[i])
		} else {
			fmt.Fprintf(&b, "%d-%d", nodes[i], nodes[j])
		}
		i = j + 1
	}
	return b.String()
}

// ParseOrder reads what FormatOrder wrote. Every node must be below limit and
// appear once.
func ParseOrder(text string, limit int) ([]Index, error) {
	var nodes []Index
	seen := NewSet(limit)
	if text == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 32)
		last, err2 := strconv.ParseUint(to, 10, 32)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("node order: %.40q: expected a number or a range", part)
		}
		if last < first || last >= uint64(limit) {
			return nil, fmt.Errorf("node order: %.40q: expected an ascending range below %d", part, limit)
		}
		for n := first; n <= last; n++ {
			if seen.Has(Index(n)) {
				return nil, fmt.Errorf("node order: node %d appears twice", n)
			}
			seen.Add(Index(n))
			nodes = append(nodes, Index(n))
		}
	}
	return nodes, nil
}
