package house

import (
	"regexp"
	"strings"
	"testing"
)

// loopsThatWait lists files whose tests wait in loops of their own, with the reason.
var loopsThatWait = map[string]string{
	"lab/ethnet/bench_test.go":       "measures how long it takes, to the millisecond",
	"cmd/bulkhead/documents_test.go": "what a command prints at last is compared, and not an error",
	"house/waits_test.go":            "says how such a loop looks",
}

var ownWait = regexp.MustCompile(`\bfor [^\n]*([dD]eadline|[pP]atience)[^\n]*; time\.Sleep\(`)

// TestOneWayToWait: what a test waits for, how long at the most, how often it asks and
// what it says when nothing comes, is decided in one place.
func TestOneWayToWait(t *testing.T) {
	if !ownWait.MatchString("for end := time.Now().Add(await.Patience); !is(); time.Sleep(time.Millisecond) {") {
		t.Error("the rule does not know the loop that it is about")
	}
	for _, s := range sources(t) {
		if !s.test || room(s.dir) == "bench" || loopsThatWait[s.path] != "" {
			continue
		}
		if at := ownWait.FindStringIndex(s.text); at != nil {
			t.Errorf("%s:%d waits in a loop of its own: use await.Must, or await.Until, which says what was there instead", s.path, 1+strings.Count(s.text[:at[0]], "\n"))
		}
	}
}
