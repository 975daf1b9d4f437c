package prove

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

// What follows asks Debian's z3, a Datalog engine that others wrote, the question
// that the prover answers: which owners can exchange packets? It gets the raw
// tables of one fabric, port by port, and the rules of the hardware; nothing of
// labels' owners, and nothing of the checks.

// rules are the hardware's. A host sends what its NIC's table holds, and any
// label that its own software can write there (not the shared ones: those rest
// on the NIC's firmware). A leaf that enforces lets in and out what its table
// holds, where not both entry and packet are limited members. On Ethernet the
// leaf says what a packet is.
const (
	commonRules = `
exits(q,l,f) :- host(q,o), leaf(q,l,m), meet(f,m), kind(f).
exits(q,l,f) :- host(q,o), unchecked_out(q), label(l), kind(f).
sent(o,l,f) :- host(p,o), passes(p,l,f).
taken(o,l,f) :- host(q,o), takes(q,l,f).
leak(a,b) :- sent(a,l,f), taken(b,l,f), differ(a,b).
leak(a,b) :- outsider(a), host(q,b), opened(q), leaf(q,l,m).
leak(a,b) :- host(p,a), strays(p), leaf(p,l,m), outsider(b).
`
	infinibandRules = `
offers(p,l,f) :- nic(p,l,f).
offers(p,l,1) :- host(p,o), private(l).
passes(p,l,f) :- offers(p,l,f), leaf(p,l,m), meet(f,m).
passes(p,l,f) :- offers(p,l,f), unchecked_in(p).
takes(q,l,f) :- exits(q,l,f), private(l).
takes(q,l,f) :- exits(q,l,f), nic(q,l,m), meet(f,m).
`
	ethernetRules = `
passes(p,l,f) :- host(p,o), leaf(p,l,f), checked_in(p).
passes(p,l,1) :- host(p,o), unchecked_in(p), label(l).
takes(q,l,f) :- exits(q,l,f).
`
)

// datalog writes the ports of a fabric for z3.
func (w *world) datalog(f int) (program string, names []string) {
	var b strings.Builder
	ethernet := w.s.Fabrics[f].Family != site.InfiniBand
	labels := w.labels(f)
	slices.Sort(labels)
	number := map[uint32]int{}
	for i, l := range labels {
		number[l] = i
	}
	entities := map[string]int{}
	for i := range w.ports {
		if e := w.entity(i); w.fabricOf(i) == f && e != "" {
			if _, known := entities[e]; !known {
				entities[e] = len(names)
				names = append(names, e)
			}
		}
	}
	outsider := len(names)
	names = append(names, w.entity(outside))
	fmt.Fprintf(&b, "P %d\nL %d\nF 2\nO %d\n\n", max(2, len(w.ports)), max(2, len(labels)), max(2, len(names)))
	for _, relation := range []string{
		"host(p:P,o:O) input", "nic(p:P,l:L,f:F) input", "leaf(p:P,l:L,f:F) input", "checked_in(p:P) input", "unchecked_in(p:P) input",
		"unchecked_out(p:P) input", "label(l:L) input", "private(l:L) input", "kind(f:F) input", "meet(f:F,m:F) input", "differ(a:O,b:O) input",
		"outsider(o:O) input", "opened(p:P) input", "strays(p:P) input",
		"offers(p:P,l:L,f:F)", "passes(p:P,l:L,f:F)", "exits(p:P,l:L,f:F)", "takes(p:P,l:L,f:F)", "sent(o:O,l:L,f:F)", "taken(o:O,l:L,f:F)", "leak(a:O,b:O) printtuples",
	} {
		fmt.Fprintln(&b, relation)
	}
	fmt.Fprint(&b, "kind(0).\nkind(1).\nmeet(0,1).\nmeet(1,0).\nmeet(1,1).\n")
	for i, l := range labels {
		fmt.Fprintf(&b, "label(%d).\n", i)
		if !fabric.IsShared(w.s.Fabrics[f].Family, l) {
			fmt.Fprintf(&b, "private(%d).\n", i)
		}
	}
	fmt.Fprintf(&b, "outsider(%d).\n", outsider)
	for i := range names {
		for j := range names {
			if i != j {
				fmt.Fprintf(&b, "differ(%d,%d).\n", i, j)
			}
		}
	}
	member := func(relation string, i int, table []fabric.Member) {
		for _, m := range table {
			full := 0
			if m.IsFull() {
				full = 1
			}
			fmt.Fprintf(&b, "%s(%d,%d,%d).\n", relation, i, number[m.Value()], full)
		}
	}
	for i := range w.ports {
		e := w.entity(i)
		if w.fabricOf(i) != f || e == "" {
			continue
		}
		wp := &w.ports[i]
		fmt.Fprintf(&b, "host(%d,%d).\n", i, entities[e])
		member("nic", i, wp.row.NIC)
		member("leaf", i, wp.row.Leaf)
		if wp.faults&fabric.FaultUnderlay != 0 {
			fmt.Fprintf(&b, "opened(%d).\n", i)
		}
		if wp.faults&(fabric.FaultPath|fabric.FaultMirror) != 0 {
			fmt.Fprintf(&b, "strays(%d).\n", i)
		}
		for _, c := range []struct {
			way string
			on  bool
		}{{"in", wp.row.EnforceIn && !wp.full}, {"out", wp.row.EnforceOut && !wp.full}} {
			switch {
			case !c.on:
				fmt.Fprintf(&b, "unchecked_%s(%d).\n", c.way, i)
			case c.way == "in":
				fmt.Fprintf(&b, "checked_in(%d).\n", i)
			}
		}
	}
	b.WriteString(commonRules)
	if ethernet {
		b.WriteString(ethernetRules)
	} else {
		b.WriteString(infinibandRules)
	}
	return b.String(), names
}

// z3 returns the pairs of owners between which packets pass, as z3 says. With its
// eager inlining the last rule becomes a product of all ports with all ports.
func z3(t *testing.T, program string, names []string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fabric.datalog")
	if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "z3", "-T:60", "fp.xform.inline_eager=false", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Tuples in leak") || strings.Contains(string(out), "timeout") {
		t.Fatalf("z3: %v\n%.2000s", err, out)
	}
	var pairs []string
	for line := range strings.Lines(string(out)) {
		var a, b int
		var an, bn int // z3 prints each number twice
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), "(a=%d(%d),b=%d(%d))", &a, &an, &b, &bn); n == 4 {
			pairs = append(pairs, names[a]+" -> "+names[b])
		}
	}
	slices.Sort(pairs)
	return slices.Compact(pairs)
}

// byHand is the same from following every packet.
func (w *world) byHand(f int) (pairs []string) {
	for _, l := range w.leaks() {
		if w.fabricOf(max(l.from, l.to)) == f {
			pairs = append(pairs, w.entity(l.from)+" -> "+w.entity(l.to))
		}
	}
	slices.Sort(pairs)
	return slices.Compact(pairs)
}

func needZ3(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("z3"); err != nil {
		t.Skip("needs z3: apt-get install z3")
	}
}

// TestZ3Agrees: on every attack of the list, and on clean fabrics, z3 finds
// exactly the pairs of owners that following every packet finds, and where it
// finds any, the prover does not call the fabric isolated.
func TestZ3Agrees(t *testing.T) {
	needZ3(t)
	for _, family := range families {
		list := append([]attack{{name: "nothing is wrong", check: Passed, do: func(*world) {}}}, attacks(family)...)
		for _, a := range list {
			t.Run(fmt.Sprint(family, "/", a.name), func(t *testing.T) {
				t.Parallel()
				w, p := a.carry(family, everyCheck)
				const compute = 1
				pairs, want := z3Of(t, w, compute), w.byHand(compute)
				if !slices.Equal(pairs, want) {
					t.Errorf("z3 says %v, following every packet says %v", pairs, want)
				}
				if len(pairs) > 0 && isolated(p) {
					t.Errorf("z3 finds %v, the prover finds nothing", pairs)
				}
				if a.leaks && len(pairs) == 0 {
					t.Error("this attack leaks, and z3 finds nothing")
				}
				if a.check == Passed && (len(pairs) > 0 || !isolated(p)) {
					t.Errorf("nothing is wrong, z3 finds %v, the prover %+v", pairs, p.Tally())
				}
			})
		}
	}
}

func z3Of(t *testing.T, w *world, f int) []string {
	program, names := w.datalog(f)
	return z3(t, program, names)
}

// TestZ3AgreesAtSize asks both about 18,000 ports with 40 owners, clean and with
// one label added at one port behind everybody's back.
func TestZ3AgreesAtSize(t *testing.T) {
	needZ3(t)
	for _, family := range families {
		s := fabrictest.NewSite(32, 64, family)
		w := &world{s: s, unread: map[site.Leaf]bool{}, project: map[uint32][]uint32{}}
		const owners = 40
		for h := uint32(FirstProject); h < FirstProject+owners; h++ {
			w.project[h] = []uint32{5000 + h, 100 + h}
		}
		random := rand.New(rand.NewPCG(7, uint64(family[0])))
		for p := range site.Port(s.Ports()) {
			h := uint32(FirstProject) + uint32(p.Node())%owners
			w.holder = append(w.holder, h)
			f := s.FabricOf(p)
			w.ports = append(w.ports, worldPort{leaf: s.LeafOf(p), leafPort: s.LeafPort(p), device: s.PortID[p],
				row: fabric.Compile(s.Fabrics[f].Family, w.label(f, h))})
		}
		began := time.Now()
		if pairs := z3Of(t, w, 1); len(pairs) > 0 || !isolated(w.prover()) {
			t.Errorf("%s: clean, z3 finds %v, the prover %+v", family, pairs, w.p.Tally())
		}
		took := time.Since(began)
		n := site.Index(random.IntN(s.Nodes()))
		victim := railPort(n)
		other := uint32(FirstProject) + (uint32(n)+1)%owners
		addLabel(&w.ports[victim].row, fabric.Full(w.label(1, other)))
		us, them := fmt.Sprint("holder ", w.holder[victim]), fmt.Sprint("holder ", other)
		want := []string{us + " -> " + them, them + " -> " + us}
		slices.Sort(want)
		if pairs := z3Of(t, w, 1); !slices.Equal(pairs, want) {
			t.Errorf("%s: z3 finds %v, expected %v", family, pairs, want)
		}
		if isolated(w.prover()) {
			t.Errorf("%s: the prover finds nothing", family)
		}
		t.Logf("%s: %d ports, z3 took %s", family, len(w.ports), took.Round(time.Millisecond))
	}
}
