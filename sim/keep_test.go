package sim_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage"
)

// again is another process's simulator, which resumes what one held.
func again(t testing.TB, s *sim.Sim, config sim.Config) *sim.Sim {
	t.Helper()
	data, err := s.Keep()
	must(t, err)
	next, err := sim.FromTemplate(template(t, "tiny"), config)
	must(t, err)
	must(t, next.Resume(data))
	kept, err := next.Keep()
	must(t, err)
	if !bytes.Equal(kept, data) {
		t.Fatalf("what was resumed is not what was kept:\n%.2000s\n%.2000s", data, kept)
	}
	return next
}

// TestResume stops the devices in the middle of everything, and begins them again:
// ports, nodes and volumes hold what they held, a step that was under way ends when it
// would have, an older fence is refused, and who has seen some of what nodes said is told the rest.
func TestResume(t *testing.T) {
	ctx := context.Background()
	config := sim.DefaultConfig(3, start)
	config.FailureRate, config.DeadShare = 0, 0
	s, err := sim.FromTemplate(template(t, "tiny"), config)
	must(t, err)
	commissionAll(t, s)
	must(t, s.Advance(ctx, start.Add(30*time.Minute)))
	rows := []fabric.PortRow{{Port: site.PortOf(0, 0), Row: fabric.Compile(site.RoCE, 5000)}, {Port: site.PortOf(0, 1), Row: fabric.Compile(site.RoCE, 5001)}}
	fence := fabric.Fence{Term: 7, Generation: 3}
	_, err = s.Fabrics()["roce"].Apply(ctx, fabric.NewChange("roce", rows), fence)
	must(t, err)
	spec := storage.VolumeSpec{ID: "acme/data", Tenant: "acme", CapacityBytes: 1 << 40, KeyMode: storage.OwnerKeys}
	_, err = s.Storage().Provision(ctx, spec)
	must(t, err)
	_, err = s.Storage().Grant(ctx, spec.ID, "acme-t1")
	must(t, err)

	was, is := s, again(t, s, config)
	for range 2 {
		for _, one := range []*sim.Sim{was, is} {
			must(t, one.Advance(ctx, start.Add(3*time.Hour)))
		}
		o, err := was.Nodes().Observe(ctx, 0)
		must(t, err)
		p, err := is.Nodes().Observe(ctx, 0)
		must(t, err)
		if len(o.Reports) != 64 || len(p.Reports) != 64 {
			t.Fatalf("%d and %d nodes have said how their step ended, expected 64", len(o.Reports), len(p.Reports))
		}
		for i := range o.Reports {
			a, b := o.Reports[i], p.Reports[i]
			if a.Node != b.Node || !a.At.Equal(b.At) || !bytes.Equal(a.Raw, b.Raw) {
				t.Fatalf("node %d at %s and %d at %s", a.Node, a.At, b.Node, b.At)
			}
		}
		for id, driver := range was.Fabrics() {
			a, err := driver.Observe(ctx, fabric.Scope{})
			must(t, err)
			b, err := is.Fabrics()[id].Observe(ctx, fabric.Scope{})
			must(t, err)
			for i := range a.Devices {
				if !bytes.Equal(a.Devices[i].Raw, b.Devices[i].Raw) {
					t.Errorf("leaf %s reads otherwise", was.Site().LeafID(a.Devices[i].Leaf))
				}
			}
			if a.Cursor != b.Cursor {
				t.Errorf("fabric %s: cursor %d, was %d", id, b.Cursor, a.Cursor)
			}
		}
		a, err := was.Storage().Observe(ctx)
		must(t, err)
		b, err := is.Storage().Observe(ctx)
		must(t, err)
		if len(a.Mounts) != 1 || len(b.Mounts) != 1 || len(b.Grants) != 1 || !a.Grants[0].Since.Equal(b.Grants[0].Since) {
			t.Errorf("storage: %+v, was %+v", b, a)
		}
		if _, err := is.Fabrics()["roce"].Apply(ctx, fabric.NewChange("roce", rows), fabric.Fence{Term: 6}); err == nil {
			t.Error("an older fence was taken")
		}
		if r, err := is.Nodes().Apply(ctx, []node.Step{step(is, 0, node.StepCommission, 1)}, node.Fence{Term: 1}); err != nil || !r[0].Taken {
			t.Errorf("a step that was taken before: %v, %v", r, err)
		}
		is = again(t, is, config) // and once more, when all has ended
	}
	if later, err := is.Nodes().Observe(ctx, 1); err != nil || len(later.Reports) != 63 {
		t.Errorf("who has seen one report is told %d more, expected 63: %v", len(later.Reports), err)
	}
	other := config
	other.Seed = 4
	next, err := sim.FromTemplate(template(t, "tiny"), other)
	must(t, err)
	data, err := is.Keep()
	must(t, err)
	if err := next.Resume(data); err == nil {
		t.Error("devices of another seed were resumed")
	}
}

// FuzzResume: whatever a file says, resuming ends, and what it accepts lives on.
func FuzzResume(f *testing.F) {
	config := sim.DefaultConfig(3, start)
	s, err := sim.FromTemplate(template(f, "tiny"), config)
	must(f, err)
	commissionAll(f, s)
	must(f, s.Advance(context.Background(), start.Add(50*time.Minute)))
	data, err := s.Keep()
	must(f, err)
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		next, err := sim.FromTemplate(template(t, "tiny"), config)
		must(t, err)
		if next.Resume(data) != nil {
			return
		}
		now, err := next.Now(t.Context())
		must(t, err)
		_ = next.Advance(t.Context(), now.Add(48*time.Hour))
		_, _ = next.Nodes().Observe(t.Context(), 0)
		for _, driver := range next.Fabrics() {
			_, _ = driver.Observe(t.Context(), fabric.Scope{})
		}
	})
}
