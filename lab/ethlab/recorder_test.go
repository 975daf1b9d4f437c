//go:build labs

package ethlab

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/fabric"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

var record = flag.Bool("record", false, "with TestAttacks: write what was read back to "+recorded)

// recorder keeps what was read of every leaf before the control plane wrote for the
// first time after it was armed.
type recorder struct {
	*Watched

	mu    sync.Mutex
	now   map[site.Leaf][]byte // nil: it did not answer
	shot  map[site.Leaf][]byte
	armed bool
	lines []line
	clean map[site.Leaf][]byte
}

func (r *recorder) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	o, err := r.Watched.Observe(ctx, s)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range o.Devices {
		r.now[d.Leaf] = nil
		if d.Reachable {
			r.now[d.Leaf] = d.Raw
		}
	}
	return o, err
}

// writes ends the picture.
func (r *recorder) writes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.armed {
		r.armed, r.shot = false, maps.Clone(r.now)
	}
}

func (r *recorder) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	if len(c.Ports) > 0 { // else it only shows its fence
		r.writes()
	}
	return r.Watched.Apply(ctx, c, f)
}

func (r *recorder) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	r.writes()
	return r.Watched.Lockdown(ctx, ports, f)
}

func (r *recorder) arm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed, r.shot = true, nil
}

func (r *recorder) add(l *Lab, leaf site.Leaf, raw []byte) {
	r.lines = append(r.lines, line{Leaf: l.Site.LeafID(leaf), Capture: raw})
}

// begin keeps the fabric as it is without an attack.
func (r *recorder) begin(l *Lab) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := line{Nodes: map[string]string{}, Labels: map[string]uint32{}}
	for _, tenant := range stage.Tenants {
		first.Labels[tenant] = l.Label(tenant)
		for _, n := range l.Nodes(tenant) {
			first.Nodes[l.Site.NodeID[n]] = tenant
		}
	}
	r.lines, r.clean = []line{first}, maps.Clone(r.now)
	for _, leaf := range slices.Sorted(maps.Keys(r.clean)) {
		r.add(l, leaf, r.clean[leaf])
	}
}

// end keeps what an attack changed.
func (r *recorder) end(l *Lab, o stage.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	nodes := r.lines[0].Nodes
	arrived := map[string]bool{}
	for _, text := range o.First { // "node/rail0 -> node/rail0: kind"
		from, to, _ := strings.Cut(text, " -> ")
		from, _, _ = strings.Cut(from, "/")
		to, _, _ = strings.Cut(to, "/")
		arrived[nodes[from]+" -> "+nodes[to]] = true
	}
	r.lines = append(r.lines, line{Attack: o.Name, Check: o.Check, Arrived: slices.Sorted(maps.Keys(arrived))})
	for _, leaf := range slices.Sorted(maps.Keys(r.shot)) {
		if !bytes.Equal(r.shot[leaf], r.clean[leaf]) {
			r.add(l, leaf, r.shot[leaf])
		}
	}
}

func (r *recorder) write(t *testing.T) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, one := range r.lines {
		check(t, e.Encode(one))
	}
	check(t, os.WriteFile(recorded, b.Bytes(), 0o644))
}
