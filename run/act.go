package run

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
)

// plan is what would bring observed to desired: what the book says is next, and what
// follows from what this writer has seen. What waits for a driver that does not answer
// is held. The loop carries out the very value that "plan show" prints.
func (p *Plane) plan(s *book.State, now time.Time) book.Plan {
	plan := book.Next(s, p.seen, now)
	if s.Site == nil {
		return plan
	}
	if !s.Control.Adopted && !s.PausedAt("") && !s.Control.Recovering {
		plan.Guards = p.seen.unguarded()
		if s.Control.Doubt == nil { // what a backend destroys is destroyed before it is recorded
			plan.Volumes = append(plan.Volumes, p.seen.missingGrants(s, plan.Volumes)...)
		}
	}
	first, again := p.claims(s, now)
	plan.Fences = append(first, again...)
	plan.Ports = append(plan.Ports, p.seen.rewrites(s, plan.Ports, now)...)
	plan.Ports = slices.DeleteFunc(plan.Ports, func(w book.PortWork) bool {
		same, stayed := p.seen.same[w.Port]
		return p.seen.stuck[w.Port] || stayed && same == w.Label.Value
	})
	plan.Differs = p.seen.told()
	p.deferSilent(s, &plan)
	return plan
}

// deferSilent takes out of a plan what its driver can't be given now.
func (p *Plane) deferSilent(s *book.State, plan *book.Plan) {
	busy := map[int]bool{}
	for index, f := range s.Site.Fabrics {
		busy[index] = !p.asking.idle(p.fabricLane(f.ID))
	}
	deferred := map[deferredWork]int{}
	ofPort := func(port site.Port) bool {
		index := s.Site.FabricOf(port)
		if busy[index] {
			deferred[deferredWork{"ports of fabric", s.Site.Fabrics[index].ID}]++
		}
		return busy[index]
	}
	ofFabric := func(id string) bool {
		index, _ := s.Site.FabricByID(id)
		return busy[index]
	}
	plan.Lockdowns = slices.DeleteFunc(plan.Lockdowns, func(w book.Lockdown) bool { return ofPort(w.Port) })
	plan.Ports = slices.DeleteFunc(plan.Ports, func(w book.PortWork) bool { return ofPort(w.Port) })
	plan.Guards = slices.DeleteFunc(plan.Guards, ofFabric)
	if len(plan.Steps) > 0 && !p.asking.idle(p.asking.lane(laneSteps)) {
		deferred[deferredWork{what: "node steps"}] += len(plan.Steps)
		plan.Steps = nil
	}
	if len(plan.Volumes) > 0 && !p.asking.idle(p.asking.lane(laneStorage)) {
		deferred[deferredWork{what: "changes of volumes"}] += len(plan.Volumes)
		plan.Volumes = nil
	}
	byName := func(a, b deferredWork) int {
		return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.fabric, b.fabric))
	}
	for _, w := range slices.SortedFunc(maps.Keys(deferred), byName) {
		plan.Deferred = append(plan.Deferred, fmt.Sprintf("%d %s wait: the driver has not answered what it was asked before", deferred[w], strings.TrimSpace(w.what+" "+w.fabric)))
	}
}

// deferredWork is what waits for a driver, of one fabric or of none.
type deferredWork struct{ what, fabric string }

// The lanes beside those of the fabrics.
const (
	laneNodes   = "nodes"
	laneSteps   = "node steps"
	laneStorage = "storage"
)

func (p *Plane) fabricLane(id string) *lane { return p.asking.lane("fabric " + id) }

// act carries out a plan: records are made, and drivers are asked for the rest. What
// they answer is heard later.
func (p *Plane) act(ctx context.Context, plan book.Plan) (acted bool, err error) {
	for _, c := range plan.Commands {
		if err := p.carry(ctx, c); err != nil {
			return false, err
		}
	}
	if len(plan.Steps) > 0 {
		if err := p.begin(ctx, plan.Steps); err != nil {
			return false, err
		}
	}
	// What a device is told must follow from what is durable.
	if err := p.w.flush(ctx); err != nil {
		return false, err
	}
	p.workVolumes(ctx, plan.Volumes)
	p.guard(ctx, plan.Guards)
	p.applyPorts(ctx, plan.Ports)
	return len(plan.Steps)+len(plan.Ports)+len(plan.Commands)+len(plan.Guards) > 0, nil
}

// begin records steps, makes the record durable, and only then gives them to
// the devices.
func (p *Plane) begin(ctx context.Context, steps []node.Step) error {
	root := p.root()
	if err := p.w.decide(ctx, "", book.BeginSteps{Steps: steps, Root: root}); err != nil {
		if p.w.broken != nil {
			return err
		}
		p.log.Warn("steps were not recorded, so no device is given them", "steps", len(steps), "why", err.Error())
		return nil
	}
	if err := p.w.flush(ctx); err != nil {
		return err
	}
	driver := p.devices().Nodes
	if driver == nil {
		return nil
	}
	for i := range steps {
		steps[i].Nonce = node.Nonce(root, p.w.state.Site.NodeID[steps[i].Node], steps[i].Turnover)
	}
	fence := p.fence()
	lane := p.asking.lane(laneSteps)
	p.asking.ask(ctx, fmt.Sprintf("begin %d steps", len(steps)), func(ctx context.Context) handler {
		_, err := driver.Apply(ctx, steps, fence)
		return func(ctx context.Context) error {
			if p.asking.answered(lane, err) != nil {
				p.heed(ctx, ofNodes, err)
				p.log.Warn("node steps failed; they are tried again when their time has passed", "steps", len(steps), "why", err.Error())
			}
			return nil
		}
	}, lane)
	return nil
}

// applyPorts carries out port work, fabric by fabric. What fails stays pending
// and is planned again.
func (p *Plane) applyPorts(ctx context.Context, work []book.PortWork) {
	byFabric, again := map[string][]fabric.PortRow{}, map[string][]fabric.PortRow{}
	s, now := p.w.state, p.config.Clock.Now()
	p.seen.note(func() {
		p.seen.changes++
		for _, w := range work {
			f := s.Site.Fabrics[s.Site.FabricOf(w.Port)]
			row := fabric.PortRow{Port: w.Port, Row: fabric.Compile(f.Family, w.Label.Value)}
			p.seen.give(w.Port, w.Label.Value, now)
			if w.Again {
				again[f.ID] = append(again[f.ID], row)
			} else {
				byFabric[f.ID] = append(byFabric[f.ID], row)
			}
		}
	})
	for index, f := range s.Site.Fabrics {
		rows := byFabric[f.ID]
		driver := p.devices().Fabrics[f.ID]
		if len(rows)+len(again[f.ID]) == 0 || driver == nil {
			continue
		}
		change, err := driver.Plan(rows, p.seen.tables)
		if err != nil {
			p.notApplied(f.ID, rows, err)
			continue
		}
		if len(again[f.ID]) > 0 { // no plan has them: they read as wanted
			change = fabric.NewChange(f.ID, append(change.Ports, again[f.ID]...))
			rows = append(rows, again[f.ID]...)
		}
		change.Numbering = p.numberings.of(p, index)
		fence, lane := p.fence(), p.fabricLane(f.ID)
		p.asking.ask(ctx, fmt.Sprintf("apply %d ports", len(rows)), func(ctx context.Context) handler {
			receipt, err := driver.Apply(ctx, change, fence)
			return func(ctx context.Context) error {
				if p.asking.answered(lane, err) != nil {
					p.heed(ctx, f.ID, err)
					p.notApplied(f.ID, rows, err)
				}
				p.seen.note(func() {
					for _, failed := range receipt.Failed {
						p.seen.stuck[failed.Port] = true
					}
				})
				return nil
			}
		}, lane)
	}
}

func (p *Plane) notApplied(fabricID string, rows []fabric.PortRow, err error) {
	p.log.Warn("ports not applied; they are planned again", "fabric", fabricID, "ports", len(rows), "why", err.Error())
	p.seen.note(func() {
		for _, r := range rows {
			p.seen.stuck[r.Port] = true
		}
	})
}

// Plan is what the loop would do now.
func (p *Plane) Plan(context.Context) book.Plan {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	s := p.view.state
	now, err := p.w.clock.after(s.Time)
	if err != nil {
		now = s.Time
	}
	plan := p.plan(s, now)
	if err != nil {
		plan.Deferred = append(plan.Deferred, err.Error())
	}
	if doubt := p.w.clock.doubt(); doubt != "" && s.Control.Doubt == nil { // no round has recorded it yet
		plan = book.Plan{Lockdowns: plan.Lockdowns, Ports: plan.Ports, Deferred: append(plan.Deferred, book.DeferredInDoubt(doubt)), Differs: plan.Differs}
	}
	if unheard := p.nodesAwaited(s); unheard != "" {
		plan.Deferred = append(plan.Deferred, unheard)
	}
	if why := p.ReadOnly(); why != nil {
		plan.Deferred = append(plan.Deferred, why.Error())
	}
	if p.config.Observe && p.ReadOnly() == nil {
		plan.Deferred = append(plan.Deferred, "this server was started to observe: it writes to no device")
	}
	return plan
}
