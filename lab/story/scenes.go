package story

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage"
)

func day(month time.Month, d, hour, minute int) time.Time {
	return time.Date(2026, month, d, hour, minute, 0, 0, time.UTC)
}

// scenes are in order of time.
func scenes() []Scene {
	list := []Scene{
		{Begin, "the site is imported", importSite},
		{Begin, "the tenants are registered", registerTenants},
		{Begin, "the contracts are quoted and signed", signContracts},
		{Begin.Add(20 * time.Minute), "a node is going to lie about its wipe", plantLiar},
		{day(5, 9, 16, 0), "Tidewater gives notice", giveNotice},
		{day(5, 12, 3, 0), "a leaf fails for five hours", failLeaf},
		{day(5, 18, 14, 30), "a port is mis-configured behind the control plane", misconfigure},
		{day(5, 20, 10, 20), "somebody is let into a volume behind the control plane", strayGrant},
		{day(5, 25, 16, 0), "the flagship amends its contract for what comes free", amend},
		{day(5, 27, 2, 0), "a read-back is poisoned", poison},
		{day(5, 27, 3, 10), "a second person releases the brake", releaseBrake},
		{day(6, 8, 12, 0), "a hall slips by three weeks", slipHall},
	}
	for at := day(5, 4, 9, 0); at.Before(end); at = at.AddDate(0, 0, 7) {
		list = append(list, Scene{at, "the weekly round of repairs, " + at.Format(time.DateOnly), repairQuarantined})
	}
	slices.SortStableFunc(list, func(a, b Scene) int { return a.At.Compare(b.At) })
	return list
}

func importSite(ctx context.Context, t *Telling) error {
	imported := false
	t.Plane.View(func(s *book.State) { imported = s.Site != nil && s.Site.Nodes() == t.Parts.Site.Nodes() })
	if imported {
		return nil
	}
	if err := t.Plane.Import(ctx, t.Parts.Site, nil); err != nil {
		return err
	}
	t.Plane.View(func(s *book.State) {
		t.say("site %s imported: %d nodes, %d GPUs, %d SUs, %d leaves, in %d halls", s.Site.Name, s.Site.Nodes(), s.Site.GPUs(), len(s.Site.SUs), s.Site.Switches(), len(s.Site.Halls))
	})
	return nil
}

func registerTenants(ctx context.Context, t *Telling) error {
	for _, tenant := range []book.RegisterTenant{
		{Tenant: t.Parts.Flagship.Tenant, Name: "Northstar"},
		{Tenant: t.Parts.Tidewater.Tenant, Name: "Tidewater"},
		{Tenant: t.Parts.Research.Tenant, Name: "the owner's research team", Internal: true},
	} {
		if _, err := t.Plane.Submit(ctx, "register "+tenant.Tenant, tenant); err != nil {
			return err
		}
		if err := t.registerKey(ctx, tenant.Tenant); err != nil {
			return fmt.Errorf("key of %s: %w", tenant.Tenant, err)
		}
	}
	return nil
}

func signContracts(ctx context.Context, t *Telling) error {
	for _, c := range []*contract.Contract{t.Parts.Flagship, t.Parts.Tidewater, t.Parts.Research} {
		if err := t.sell(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// sell quotes a contract and signs the quote.
func (t *Telling) sell(ctx context.Context, c *contract.Contract) error {
	signed := false
	t.Plane.View(func(s *book.State) {
		k, ok := s.Contracts[c.ID]
		signed = ok && k.Versions[len(k.Versions)-1].Version >= c.Version
	})
	if signed {
		return nil
	}
	id := fmt.Sprintf("%s-v%d", c.ID, c.Version)
	quote, err := t.Plane.Quote(ctx, id, c, 0)
	if err != nil {
		return fmt.Errorf("quote for %s: %w", c.ID, err)
	}
	nodeGPUs := func(kind string) (gpus int) {
		t.Plane.View(func(s *book.State) { gpus = s.Site.NodeGPUs(kind) })
		return gpus
	}
	for _, part := range quote.Parts {
		t.say("quote %s, %s: %d GPUs of %s in fabric %s from %s: %s", id, part.Tranche, part.Slots*nodeGPUs(part.Kind), part.Kind, part.Fabric, part.Begin.Format(time.DateOnly), part.Where)
	}
	assent, err := t.assent(id, c)
	if err != nil {
		return fmt.Errorf("signing %s: %w", c.ID, err)
	}
	if _, err := t.Plane.Submit(ctx, "sign "+id, book.SignQuote{Quote: id, By: "tenant administrator", Signed: contract.ByTenant("tenant administrator"), Assent: assent}); err != nil {
		return fmt.Errorf("signing %s: %w", c.ID, err)
	}
	t.say("%s signed, version %d", c.ID, c.Version)
	return nil
}

// plantLiar chooses a node that is being commissioned.
func plantLiar(ctx context.Context, t *Telling) error {
	var n site.Index
	found := false
	t.Plane.View(func(s *book.State) {
		for candidate := range s.Nodes.By[node.Commissioning].All() {
			if !s.Site.IsSpare(candidate) {
				n, found = candidate, true
				return
			}
		}
	})
	if !found {
		return nil
	}
	return t.World.Inject(ctx, t.Clock.Now(), sim.Fault{Kind: sim.Liar, Node: n})
}

// repairQuarantined is what the owner's people do every Monday: whatever was
// quarantined is looked at, and wiped and attested anew when it comes back.
func repairQuarantined(ctx context.Context, t *Telling) error {
	var nodes []site.Index
	t.Plane.View(func(s *book.State) { nodes = s.Nodes.By[node.Quarantined].Slice() })
	if len(nodes) == 0 {
		return nil
	}
	id := "repair of " + t.Clock.Now().Format(time.DateOnly)
	_, err := t.Plane.Submit(ctx, id, book.SendToRepair{Nodes: nodes, Reason: "weekly round: drives and boards are checked"})
	return err
}

// firstDelivered finds a delivered node of a lease, from slot on.
func firstDelivered(s *book.State, tenant, fabricID string, skip int) (site.Index, bool) {
	for _, l := range s.LeasesOf(tenant) {
		if l.Fabric != fabricID {
			continue
		}
		for _, n := range l.Slots {
			if s.Nodes.State[n] == node.Delivered && s.Nodes.Health[n] == book.Healthy {
				if skip == 0 {
					return n, true
				}
				skip--
			}
		}
	}
	return 0, false
}

func failLeaf(ctx context.Context, t *Telling) error {
	var leaf site.Leaf
	found := false
	t.Plane.View(func(s *book.State) {
		if n, ok := firstDelivered(s, t.Parts.Flagship.Tenant, t.Parts.Flagship.Tranches[0].Fabric, 5); ok {
			leaf, found = s.Site.LeafOf(site.PortOf(n, 2)), true
		}
	})
	if !found {
		return nil
	}
	return t.World.Inject(ctx, t.Clock.Now(), sim.Fault{Kind: sim.LeafDown, Leaf: leaf, For: 5 * time.Hour})
}

func misconfigure(ctx context.Context, t *Telling) error {
	var fault sim.Fault
	found := false
	t.Plane.View(func(s *book.State) {
		n, ok := firstDelivered(s, t.Parts.Research.Tenant, t.Parts.Flagship.Tranches[0].Fabric, 1)
		if !ok {
			return
		}
		fabricID := t.Parts.Flagship.Tranches[0].Fabric
		label, has := s.Labels[fabricID].ValueOf(book.ProjectOwner(t.Parts.Flagship.Tenant, t.Parts.Flagship.Project))
		if has {
			fault, found = sim.Fault{Kind: sim.Misconfigured, Node: n, NIC: 3, Label: label.Value}, true
		}
	})
	if !found {
		return nil
	}
	return t.World.Inject(ctx, t.Clock.Now(), fault)
}

// strayGrant lets somebody into the flagship's data.
func strayGrant(ctx context.Context, t *Telling) error {
	return t.World.Inject(ctx, t.Clock.Now(), sim.Fault{Kind: sim.StrayGrant, Volume: storage.IDOf(t.Parts.Flagship.ID, t.Parts.Flagship.Storage[0].ID)})
}

func giveNotice(ctx context.Context, t *Telling) error {
	id := t.Parts.Tidewater.ID
	return t.act(ctx, "notice tidewater", t.Parts.Tidewater.Tenant, book.PerformAct{
		Contract: id, Act: contract.ActNotice, By: book.Actor{Subject: "tenant administrator", Role: contract.RoleAdministrator, Tenant: t.Parts.Tidewater.Tenant},
	})
}

// administratorOf acts for the tenant of a lease.
func administratorOf(t *Telling, id lease.ID) (by book.Actor) {
	by = book.Actor{Subject: "tenant administrator", Role: contract.RoleAdministrator}
	t.Plane.View(func(s *book.State) {
		if l, ok := s.LeaseByID(id); ok {
			by.Tenant = l.Tenant
		}
	})
	return by
}

func amend(ctx context.Context, t *Telling) error { return t.sell(ctx, t.Parts.Amendment) }

func poison(ctx context.Context, t *Telling) error {
	ports := 0
	t.Plane.View(func(s *book.State) { ports = min(5000, s.Site.Ports()/4) })
	return t.World.Inject(ctx, t.Clock.Now(), sim.Fault{Kind: sim.Poisoned, Ports: ports, For: 45 * time.Minute})
}

func releaseBrake(ctx context.Context, t *Telling) error {
	engaged := false
	t.Plane.View(func(s *book.State) { engaged = s.Control.Brake != nil })
	if !engaged {
		return nil
	}
	_, err := t.Plane.Submit(ctx, "release brake of 27 May", book.ReleaseBrake{
		By:     book.Actor{Subject: "approver on duty", Role: "approver"},
		Reason: "the collector was at fault: a second read-back by another path shows every port as compiled",
	})
	return err
}

// slipHall moves the last hall that is not in service yet by three weeks.
func slipHall(ctx context.Context, t *Telling) error {
	var hall string
	var to time.Time
	t.Plane.View(func(s *book.State) {
		for _, h := range s.Site.Halls {
			if h.InService.After(s.Time) {
				hall, to = h.ID, h.InService.AddDate(0, 0, 21)
			}
		}
	})
	if hall == "" {
		return nil
	}
	_, err := t.Plane.Submit(ctx, "slip "+hall, book.RescheduleHall{Hall: hall, InService: to, Reason: "transformer delivery is late"})
	return err
}

// acknowledge lets the flagship answer the replacements offered for its even
// slots; for the others its time passes.
func (t *Telling) acknowledge(ctx context.Context) error {
	var open []book.SlotRef
	t.Plane.View(func(s *book.State) {
		for ref, swap := range s.Swaps {
			if l, ok := s.LeaseByID(ref.Lease); ok && l.Tenant == t.Parts.Flagship.Tenant && ref.Slot%2 == 0 && swap.Proposed.Before(t.Clock.Now()) {
				open = append(open, ref)
			}
		}
	})
	sortRefs(open)
	for _, ref := range open {
		id := fmt.Sprintf("acknowledge %s/%d at %s", ref.Lease, ref.Slot, t.Clock.Now().Format(time.RFC3339))
		by := administratorOf(t, ref.Lease)
		err := t.act(ctx, id, by.Tenant, book.AcknowledgeReplacement{Lease: ref.Lease, Slot: ref.Slot, Actor: by})
		var fallen *book.Refusal // what it was proposed for is not so any more: the loop withdraws it
		if err != nil && !errors.As(err, &fallen) {
			return err
		}
	}
	return nil
}

func sortRefs(refs []book.SlotRef) {
	slices.SortFunc(refs, func(a, b book.SlotRef) int {
		return cmp.Or(cmp.Compare(a.Lease, b.Lease), cmp.Compare(a.Slot, b.Slot))
	})
}

func (t *Telling) say(format string, args ...any) {
	if t.Tell != nil {
		t.Tell(t.Clock.Now(), fmt.Sprintf(format, args...))
	}
}
