package house

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ownClient is how HTTP is spoken over a connection of one's own: read by hand, or over a
// net/http client's that is told how to connect.
var ownClient = regexp.MustCompile(`\bhttp\.ReadResponse\(|\bDial(TLS)?(Context)?:|\.Dial(TLS)?(Context)? = `)

// speaksOverSockets says where a file does that, 0 where nowhere.
func speaksOverSockets(s source) int {
	if at := ownClient.FindStringIndex(s.text); at != nil && slices.Contains(s.imports, "net/http") {
		return 1 + strings.Count(s.text[:at[0]], "\n")
	}
	return 0
}

// TestOneClientOfSockets: who asks another process over a unix socket, or a connection that
// stands for one, knows whose process that is, sends no call twice, and bounds what comes
// back; that is decided in one place.
func TestOneClientOfSockets(t *testing.T) {
	users := 0
	for _, s := range sources(t) {
		if s.test || room(s.dir) == "bench" || s.dir == "custody/exchange" {
			continue
		}
		if strings.Contains(s.text, "exchange.Client{") {
			users++
			continue
		}
		if line := speaksOverSockets(s); line > 0 {
			t.Errorf("%s:%d speaks HTTP over connections of its own: use exchange.Client, which knows who is at the other end of a socket, sends no call twice and bounds answers", s.path, line)
		}
	}
	if users < 2 {
		t.Errorf("%d files use exchange.Client", users)
	}
	for text, line := range map[string]int{
		"\n&http.Transport{\nDialContext: dial}": 3, "t.DialTLSContext = f": 1, "x, err := http.ReadResponse(in, nil)": 1,
		"(&net.Dialer{}).DialContext(ctx, \"unix\", s)": 0, "wire.Dial(socket)": 0,
	} {
		if got := speaksOverSockets(source{text: text, imports: []string{"net/http"}}); got != line {
			t.Errorf("%q: line %d, expected %d", text, got, line)
		}
	}
}
