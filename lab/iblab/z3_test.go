//go:build labs

package iblab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
)

// z3Rules are the hardware's, for Debian's z3 with its Datalog engine: a hostile
// host sends under any key but the full default one; a leaf that enforces lets in
// and out what its table holds; who receives matches the key, limited and full.
const z3Rules = `
offers(p,l,f) :- nic(p,l,f).
offers(p,l,f) :- host(p,o), private(l), kind(f).
passes(p,l,f) :- offers(p,l,f), leaf(p,l).
passes(p,l,f) :- offers(p,l,f), open_in(p).
exits(q,l,f) :- host(q,o), leaf(q,l), kind(f).
exits(q,l,f) :- host(q,o), open_out(q), label(l), kind(f).
takes(q,l,f) :- exits(q,l,f), nic(q,l,m), meet(f,m).
sent(o,l,f) :- host(p,o), passes(p,l,f).
taken(o,l,f) :- host(q,o), takes(q,l,f).
leak(a,b) :- sent(a,l,f), taken(b,l,f), differ(a,b).
`

// z3Leaks asks z3 which of the rivals can send packets to which, from the raw
// tables of every edge port that answers. It knows nothing of labels' owners, nor
// of the checks. The last result says whether two devices claim one identity.
func (l *Lab) z3Leaks(ctx context.Context, t *testing.T) (leaks bool, conflicts bool) {
	t.Helper()
	keys := smp.OneKey(l.conf.MKey)
	f, err := l.client.Sweep(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := l.client.ReadTables(ctx, f, smp.TableOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	owner := map[uint64]int{}
	for i, tenant := range Tenants {
		for nic := range 8 {
			for _, hca := range l.HCAs(tenant, nic) {
				guid, err := l.Fabric.GUID(hca)
				if err != nil {
					t.Fatal(err)
				}
				owner[guid] = i
			}
		}
	}
	labels := map[uint16]int{}
	label := func(k mad.PKey) int {
		if _, known := labels[k.Key()]; !known {
			labels[k.Key()] = len(labels)
		}
		return labels[k.Key()]
	}
	var facts strings.Builder
	hosts := 0
	for i := range tables.Ports {
		e := &tables.Ports[i]
		if e.Host == nil || !e.Complete() {
			continue
		}
		o, rival := owner[e.HostGUID]
		if !rival {
			continue
		}
		fmt.Fprintf(&facts, "host(%d,%d).\n", hosts, o)
		for _, k := range smp.PKeys(e.Host.Keys, e.HostCap) {
			full := 0
			if k.IsFull() {
				full = 1
			}
			fmt.Fprintf(&facts, "nic(%d,%d,%d).\n", hosts, label(k), full)
		}
		for _, k := range smp.PKeys(e.Keys, e.KeyCap) {
			fmt.Fprintf(&facts, "leaf(%d,%d).\n", hosts, label(k))
		}
		info := mad.ParsePortInfo(&e.PortInfo)
		if !info.EnforceIn {
			fmt.Fprintf(&facts, "open_in(%d).\n", hosts)
		}
		if !info.EnforceOut {
			fmt.Fprintf(&facts, "open_out(%d).\n", hosts)
		}
		hosts++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "P %d\nL %d\nF 2\nO 2\n\n", max(2, hosts), max(2, len(labels)))
	for _, r := range []string{"host(p:P,o:O) input", "nic(p:P,l:L,f:F) input", "leaf(p:P,l:L) input", "open_in(p:P) input", "open_out(p:P) input",
		"private(l:L) input", "label(l:L) input", "kind(f:F) input", "meet(a:F,b:F) input", "differ(a:O,b:O) input",
		"offers(p:P,l:L,f:F)", "passes(p:P,l:L,f:F)", "exits(p:P,l:L,f:F)", "takes(p:P,l:L,f:F)", "sent(o:O,l:L,f:F)", "taken(o:O,l:L,f:F)", "leak(a:O,b:O) printtuples"} {
		fmt.Fprintln(&b, r)
	}
	b.WriteString("kind(0).\nkind(1).\nmeet(0,1).\nmeet(1,0).\nmeet(1,1).\ndiffer(0,1).\ndiffer(1,0).\n")
	for k, n := range labels {
		fmt.Fprintf(&b, "label(%d).\n", n)
		if k != mad.DefaultPKey.Key() {
			fmt.Fprintf(&b, "private(%d).\n", n)
		}
	}
	b.WriteString(facts.String())
	b.WriteString(z3Rules)
	path := filepath.Join(t.TempDir(), "fabric.datalog")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, "z3", "-T:60", "fp.xform.inline_eager=false", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Tuples in leak") {
		t.Fatalf("z3: %v\n%.2000s", err, out)
	}
	return strings.Contains(string(out), "(a="), len(f.Conflicts) > 0
}

func needZ3(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("z3"); err != nil {
		t.Skip("needs z3: apt-get install z3")
	}
}
