package house

import (
	"regexp"
	"strings"
	"testing"
)

// TestOneDecoderOfJSON: JSON that two readers could read in two ways is refused, by one
// decoder. Who reads what others write, or wrote, and takes what it does not know, says so.
func TestOneDecoderOfJSON(t *testing.T) {
	lenient := regexp.MustCompile(`\bjson\.(Unmarshal|NewDecoder)\(`)
	readers := 0
	for _, s := range sources(t) {
		if s.test || room(s.dir) == "bench" || s.path == "claim/exact.go" {
			continue
		}
		if strings.Contains(s.text, "claim.Exact(") {
			readers++
		}
		if strings.Contains(s.text, ".DisallowUnknown"+"Fields()") && s.dir != "place" {
			t.Errorf("%s refuses unknown fields its own way: claim.Exact also refuses what stands twice, what is spelled in other cases and what is too large", s.path)
		}
		if at := lenient.FindStringIndex(s.text); at != nil {
			before := strings.Split(s.text[:at[0]], "\n")
			if len(before) < 2 || !strings.HasPrefix(strings.TrimSpace(before[len(before)-2]), "// Lenient JSON: ") {
				t.Errorf("%s reads JSON with encoding/json alone, which takes unknown fields, other cases and the last of two: use claim.Exact, or say in the line above why not: // Lenient JSON: ...", s.path)
			}
		}
	}
	if readers < 10 {
		t.Errorf("only %d files use claim.Exact", readers)
	}
}
