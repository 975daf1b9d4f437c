package wire_test

import (
	"os"
	"testing"

	"bulkhead/fabric"
	"bulkhead/sim"
	"bulkhead/site"
)

func fullSite(b *testing.B) *sim.Sim {
	b.Helper()
	data, err := os.ReadFile("../examples/colossus/site.yaml")
	must(b, err)
	template, err := site.ParseTemplate("site.yaml", data)
	must(b, err)
	s, err := sim.FromTemplate(template, sim.DefaultConfig(1, start))
	must(b, err)
	return s
}

// The shortest call, of one goroutine: what the protocol itself takes.
func BenchmarkCall(b *testing.B) {
	c, _, _ := serve(b, simulated(b, 12, false))
	for b.Loop() {
		if _, err := c.Sim.Now(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// All 450,000 ports are written and read back over the socket.
func BenchmarkWholeSiteOverTheWire(b *testing.B) {
	ctx := b.Context()
	s := fullSite(b)
	c, _, _ := serve(b, s)
	changes := map[string]fabric.Change{}
	for i, f := range s.Site().Fabrics {
		var rows []fabric.PortRow
		for p := range site.Port(s.Site().Ports()) {
			if s.Site().FabricOf(p) == i {
				rows = append(rows, fabric.PortRow{Port: p, Row: fabric.Compile(f.Family, 0x321)})
			}
		}
		changes[f.ID] = fabric.NewChange(f.ID, rows)
	}
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			for id, change := range changes {
				r, err := c.Fabrics[id].Apply(ctx, change, fabric.Fence{Term: 1})
				if err != nil || len(r.Failed) > 0 {
					b.Fatal(err, len(r.Failed))
				}
			}
		}
	})
	b.Run("observe", func(b *testing.B) {
		for b.Loop() {
			for _, d := range c.Fabrics {
				if _, err := d.Observe(ctx, fabric.Scope{}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("observe-unchanged", func(b *testing.B) {
		cursor := map[string]uint64{}
		for id, d := range c.Fabrics {
			o, err := d.Observe(ctx, fabric.Scope{})
			must(b, err)
			cursor[id] = o.Cursor
		}
		for b.Loop() {
			for id, d := range c.Fabrics {
				if _, err := d.Observe(ctx, fabric.Scope{Since: cursor[id]}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
