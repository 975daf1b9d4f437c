// Package stage is what the labs share: two tenants that trust nobody on one small site,
// and how an attack is judged. They lease parts of the same scalable units, under a
// control plane that drives some fabrics for real. It sells, lets time pass, proves,
// mounts attacks and says how each ended. Which fabric that is, and what an attack does to
// it, is the lab's (lab/iblab, lab/ethlab); what is not driven for real is simulated.
package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/prove"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// Tenants are the two rivals.
var Tenants = [2]string{"vermilion", "cobalt"}

// Begin is when a lab's time begins: three days before the leases.
var Begin = time.Date(2026, 4, 28, 0, 0, 0, 0, time.UTC)

// Options are a stage's.
type Options struct {
	Example string          // folder of examples/: site.yaml, and a contract for each tenant
	Fabric  string          // the compute fabric, which is driven for real
	Logger  *slog.Logger    // of the control plane; nil: discarded
	Log     ledger.Log      // nil: one in memory
	Keys    *keystore.Store // nil: new ones
	Calm    bool            // no node fails by itself
}

// Stage is a site, what is simulated of it, and the control plane.
type Stage struct {
	Site  *site.Site
	Units []*site.SUInventory
	World *sim.Sim
	Clock *run.VirtualClock
	Plane *run.Plane // nil until Open
	Log   ledger.Log
	Keys  *keystore.Store

	options  Options
	template *site.Template
	index    int // of Options.Fabric
	imported bool
	postured bool // the fabric's driver says what guards its management
	looks    looks
}

// New compiles the example's site and makes its simulated world.
func New(o Options) (*Stage, error) {
	path := o.Example + "/site.yaml"
	data, err := examples.Files.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Stage{options: o, Log: o.Log, Keys: o.Keys, Clock: run.NewVirtualClock(Begin)}
	if s.template, err = site.ParseTemplate(path, data); err != nil {
		return nil, err
	}
	if _, err := s.template.Compile(func(u *site.SUInventory) error { s.Units = append(s.Units, u); return nil }); err != nil {
		return nil, err
	}
	config := sim.DefaultConfig(1, Begin)
	if o.Calm {
		config.FailureRate = 0
	}
	if s.World, err = sim.FromTemplate(s.template, config); err != nil {
		return nil, err
	}
	s.Site = s.World.Site()
	known := false
	if s.index, known = s.Site.FabricByID(o.Fabric); !known {
		return nil, fmt.Errorf("%s has no fabric %q", path, o.Fabric)
	}
	if s.Log == nil {
		s.Log = memory.New()
	}
	if s.Keys == nil {
		s.Keys, err = keystore.InMemory(rand.Reader, Begin)
	}
	return s, err
}

// FabricIndex is the compute fabric's index in Site.Fabrics.
func (s *Stage) FabricIndex() int { return s.index }

// Open opens a control plane over the ledger and the devices, with drivers in the
// place of simulated ones; another one that was open finds itself fenced. The first
// imports the site.
func (s *Stage) Open(ctx context.Context, real map[string]fabric.Driver) (err error) {
	fabrics := s.World.Fabrics()
	maps.Copy(fabrics, real)
	_, s.postured = fabrics[s.options.Fabric].(fabric.Postured)
	s.Plane, err = run.Open(ctx, run.Config{
		Log: s.Log, Signers: s.Keys, Clock: s.Clock, Writer: "lab", Logger: s.options.Logger, Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: s.World.Nodes(), Storage: s.World.Storage()},
	})
	if err != nil || s.imported {
		return err
	}
	s.imported = true
	return s.Plane.Import(ctx, s.template, nil)
}

// Sell registers the rivals and signs their leases.
func (s *Stage) Sell(ctx context.Context) error {
	for _, name := range Tenants {
		data, err := s.Contract(name)
		if err != nil {
			return err
		}
		if err := s.Sign(ctx, data); err != nil {
			return err
		}
	}
	return nil
}

// Contract is the example's contract with a rival, as text.
func (s *Stage) Contract(tenant string) ([]byte, error) {
	return examples.Files.ReadFile(s.options.Example + "/" + tenant + ".yaml")
}

// Sign quotes a contract, given as text, and signs the quote. Its tenant is
// registered if it is not yet.
func (s *Stage) Sign(ctx context.Context, text []byte) error {
	c, err := contract.Parse("contract.yaml", text)
	if err != nil {
		return err
	}
	known := false
	s.Plane.View(func(b *book.State) { _, known = b.Tenants[c.Tenant] })
	if !known {
		if _, err := s.Plane.Submit(ctx, "register "+c.Tenant, book.RegisterTenant{Tenant: c.Tenant, Name: c.Title}); err != nil {
			return err
		}
	}
	if _, err := s.Plane.Quote(ctx, c.ID, c, 0); err != nil {
		return err
	}
	_, err = s.Plane.Submit(ctx, "sign "+c.ID, book.SignQuote{Quote: c.ID, By: "tenant administrator", Signed: contract.ByTenant("tenant administrator")})
	return err
}

// Live lets time pass in steps.
func (s *Stage) Live(ctx context.Context, d, step time.Duration) error {
	for end := s.Clock.Now().Add(d); s.Clock.Now().Before(end); {
		to := s.Clock.Now().Add(min(step, end.Sub(s.Clock.Now())))
		if err := s.World.Advance(ctx, to); err != nil {
			return err
		}
		s.Clock.Set(to)
		if err := s.Plane.Tick(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Deliver lives for as long as leases take until their slots are handed over, and then
// on until all of them are up.
func (s *Stage) Deliver(ctx context.Context, d time.Duration) error {
	bad := s.Live(ctx, d, 2*time.Hour)
	err := await.Until(ctx, "every slot to be handed over", func() (lacks string, done bool) {
		s.Plane.View(func(b *book.State) {
			for _, lease := range b.Leases {
				for slot := range lease.Slots {
					if !b.SlotUp(lease, slot) {
						lacks = fmt.Sprintf("%s: slot %d of %d is not up", lease.ID, slot, len(lease.Slots))
					}
				}
			}
		})
		if lacks != "" && bad == nil {
			bad = s.Live(ctx, time.Hour, time.Hour)
		}
		return lacks + "; " + s.unrest(), bad != nil || lacks == ""
	})
	return errors.Join(bad, err)
}

// Settle lives until every port of the compute fabric is proven again. Real managers
// and routing daemons take this machine's time for that, and the lab's own passes
// faster: it is slowed down after a day.
func (s *Stage) Settle(ctx context.Context) error {
	var bad error
	looks := 0
	err := await.Until(ctx, "every port to be proven again", func() (string, bool) {
		step := time.Hour
		if looks++; looks > 24 {
			step = time.Minute
		}
		bad = s.Live(ctx, step, step)
		return s.unrest(), bad != nil || s.quiet()
	})
	return errors.Join(bad, err)
}

// unrest is what keeps the compute fabric from being proven.
func (s *Stage) unrest() (what string) {
	found := s.Findings()
	s.Plane.View(func(b *book.State) {
		what = fmt.Sprintf("findings %v, %d ports locked, posture %+v, brake %+v", found, len(b.Drifted), b.Postures[s.options.Fabric], b.Control.Brake)
	})
	return what
}

func (s *Stage) quiet() bool {
	locked, holds := 0, false
	s.Plane.View(func(b *book.State) { locked, holds = len(b.Drifted), b.Postures[s.options.Fabric].Holds })
	return locked == 0 && (holds || !s.postured) && len(s.Findings()) == 0
}

// Nodes lists a tenant's nodes that are delivered and up, by slot.
func (s *Stage) Nodes(tenant string) (nodes []site.Index) {
	s.Plane.View(func(b *book.State) {
		for _, lease := range b.LeasesOf(tenant) {
			for slot, n := range lease.Slots {
				if b.SlotUp(lease, slot) {
					nodes = append(nodes, n)
				}
			}
		}
	})
	return nodes
}

// Label is a tenant's label on the compute fabric; 0 while it has none.
func (s *Stage) Label(tenant string) (value uint32) {
	s.Plane.View(func(b *book.State) {
		for _, lease := range b.LeasesOf(tenant) {
			if label, has := b.Labels[s.options.Fabric].ValueOf(book.ProjectOwner(tenant, lease.Project)); has {
				value = label.Value
			}
		}
	})
	return value
}

// Findings counts the ports of the compute fabric by the check that fails there.
func (s *Stage) Findings() map[string]int {
	out := map[string]int{}
	s.Plane.Ports(func(p site.Port, _ prove.Verdict, check prove.Check) {
		if s.Site.FabricOf(p) == s.index && check != prove.Passed {
			out[check.String()]++
		}
	})
	return out
}

// Head is the number of entries.
func (s *Stage) Head() (seq uint64) {
	s.Plane.View(func(b *book.State) { seq = b.Seq })
	return seq
}

// Recorded lists what the ledger says in the site's scope since an entry: how many
// of each kind, and what those about drift, lockdown, unread leaves, posture and
// the brake say.
func (s *Stage) Recorded(ctx context.Context, since uint64) (kinds map[string]int, notes []string, err error) {
	kinds = map[string]int{}
	for e, err := range s.Log.Read(ctx, since+1) {
		if err != nil {
			return nil, nil, err
		}
		if e.Scope != book.SiteScope {
			continue
		}
		kinds[e.Kind]++
		switch e.Kind {
		case fabric.KindDrifted, fabric.KindUnread, fabric.KindPosture, book.KindBrake:
			notes = append(notes, string(e.Body))
		}
	}
	return kinds, notes, nil
}

// ReleaseBrake is what a second person does who has looked; nothing where the brake
// is not engaged.
func (s *Stage) ReleaseBrake(ctx context.Context) error {
	engaged := false
	s.Plane.View(func(b *book.State) { engaged = b.Control.Brake != nil })
	if !engaged {
		return nil
	}
	_, err := s.Plane.Submit(ctx, "", book.ReleaseBrake{By: book.Actor{Subject: "approver on duty", Role: "approver"}, Reason: "what was changed by hand is ours again"})
	return err
}
