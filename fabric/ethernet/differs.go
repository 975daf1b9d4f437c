package ethernet

import (
	"fmt"
	"slices"
)

// How much a leaf says of what differs.
const (
	maxDiffers    = 16
	maxDifference = 120 // bytes
)

// Differences makes a capture's list of what differs out of words: ascending, none twice,
// each of plain letters and cut where it is long. Of too many the first are kept, and the
// last says how many there are.
func Differences(words []string) []string {
	var out []string
	for _, w := range words {
		b := []byte(w)
		for i, c := range b {
			if !plainByte(c) {
				b[i] = '?'
			}
		}
		if len(b) > maxDifference {
			b = append(b[:maxDifference-3], "..."...)
		}
		if len(b) > 0 {
			out = append(out, string(b))
		}
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxDiffers {
		all := len(out)
		out = append(out[:maxDiffers-1], fmt.Sprintf("~ and %d more", all-maxDiffers+1)) // after every letter
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out
}

// plainByte reports whether a byte stands in words of what differs: what prints, and needs
// no escape in JSON.
func plainByte(c byte) bool { return c >= ' ' && c <= '~' && c != '"' && c != '\\' }

// plainWords reports whether words are of what differs.
func plainWords(w string) bool {
	return w != "" && len(w) <= maxDifference && !slices.ContainsFunc([]byte(w), func(c byte) bool { return !plainByte(c) })
}
