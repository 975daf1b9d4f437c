package house

import (
	"slices"
	"strings"
	"testing"
)

// The verifier is what a tenant who trusts nobody compiles and reads. It reaches
// none of the server's rooms, no driver, and no library that only those need.
func TestTheVerifierStaysSmall(t *testing.T) {
	notOurs := []string{"github.com/osrg/gobgp", "github.com/vishvananda/netlink", "github.com/google/nftables", "google.golang.org/grpc", "modernc.org/sqlite", "connectrpc.com/"}
	rooms := []string{"run", "api", "sim", "wire", "lab", "keystore"}
	imports := map[string][]string{}
	for _, s := range sources(t) {
		if !s.test {
			imports[s.dir] = append(imports[s.dir], s.imports...)
		}
	}
	via := map[string]string{"cmd/bulkhead-verify": ""}
	for queue := []string{"cmd/bulkhead-verify"}; len(queue) > 0; queue = queue[1:] {
		for _, i := range imports[queue[0]] {
			dir, ours := strings.CutPrefix(i, "bulkhead/")
			if slices.ContainsFunc(notOurs, func(p string) bool { return strings.HasPrefix(i, p) }) || ours && slices.Contains(rooms, room(dir)) {
				t.Errorf("bulkhead-verify reaches %s by way of %s: a tenant would have to trust it", i, queue[0])
			}
			if _, known := via[dir]; ours && !known {
				via[dir] = queue[0]
				queue = append(queue, dir)
			}
		}
	}
	if len(via) < 8 {
		t.Fatalf("only %d packages of the verifier were found", len(via))
	}
}

// goBGP is large and keeps state of its own beside ours: one package speaks to it.
func TestOnlyTheCollectorSpeaksBGP(t *testing.T) {
	for _, s := range sources(t) {
		for _, i := range s.imports {
			if strings.HasPrefix(i, "github.com/osrg/gobgp") && s.dir != "fabric/ethernet/collector" && !s.test {
				t.Errorf("%s imports %s: only fabric/ethernet/collector does", s.path, i)
			}
		}
	}
}
