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
	rooms := []string{"place/solve", "run", "api", "sim", "wire", "lab", "keystore"}
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
			if slices.ContainsFunc(notOurs, func(p string) bool { return strings.HasPrefix(i, p) }) || ours && (slices.Contains(rooms, room(dir)) || slices.Contains(rooms, dir)) {
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

// A fault of the solver must not be its judge's too: the checker of placements has
// nothing in common with it but data, and never comes to know it by way of others.
func TestTheCheckerSharesNothingWithTheSolver(t *testing.T) {
	imports := map[string][]string{}
	for _, s := range sources(t) {
		if !s.test {
			imports[s.dir] = append(imports[s.dir], s.imports...)
		}
	}
	for _, row := range []struct{ from, never string }{{"place/check", "place/solve"}, {"place/solve", "place/check"}} {
		if len(imports[row.from]) == 0 {
			t.Fatalf("%s is not there: what judges placements, or what makes them?", row.from)
		}
		seen := map[string]bool{}
		for queue := []string{row.from}; len(queue) > 0; queue = queue[1:] {
			for _, i := range imports[queue[0]] {
				dir, ours := strings.CutPrefix(i, "bulkhead/")
				if !ours || seen[dir] {
					continue
				}
				if seen[dir] = true; dir == row.never {
					t.Errorf("%s reaches %s by way of %s: what one of them takes for right the other must find out by itself", row.from, dir, queue[0])
				}
				queue = append(queue, dir)
			}
		}
	}
}
