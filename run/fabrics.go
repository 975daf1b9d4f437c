package run

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/prove"
	"bulkhead/site"
)

// askFabrics begins to read back what has changed, and everything when a sweep is
// due, of all fabrics at once. The function that it returns waits for the answers.
// Nothing may be written to a fabric before that.
func (p *Plane) askFabrics(ctx context.Context) (answers func() []answer) {
	s, now := p.w.state, p.config.Clock.Now()
	got := make([]answer, len(s.Site.Fabrics))
	joined := map[fabric.Joint][]int{}
	var wait sync.WaitGroup
	for index, f := range s.Site.Fabrics {
		driver := p.config.Devices.Fabrics[f.ID]
		if driver == nil {
			continue
		}
		since := p.seen.cursors[f.ID]
		if since != 0 && now.Sub(p.seen.swept[f.ID]) >= s.Policy.Sweep {
			since = 0
		}
		got[index] = answer{driver: driver, since: since}
		if j, is := driver.(fabric.Joined); is && since != 0 { // a sweep's answer is long enough by itself
			joined[j.Joint()] = append(joined[j.Joint()], index)
			continue
		}
		wait.Go(func() {
			got[index].observation, got[index].err = driver.Observe(ctx, fabric.Scope{Since: since})
		})
	}
	for joint, indexes := range joined {
		wait.Go(func() {
			asks := make([]fabric.Ask, len(indexes))
			for i, index := range indexes {
				asks[i] = fabric.Ask{Fabric: s.Site.Fabrics[index].ID, Scope: fabric.Scope{Since: got[index].since}}
			}
			for i, a := range joint.ObserveAll(ctx, asks) {
				got[indexes[i]].observation, got[indexes[i]].err = a.Observation, a.Err
			}
		})
	}
	return func() []answer { wait.Wait(); return got }
}

// judgeFabrics judges what fabrics answered, one after the other.
func (p *Plane) judgeFabrics(ctx context.Context, answers []answer) error {
	s, now := p.w.state, p.config.Clock.Now()
	for index, a := range answers {
		if a.driver == nil {
			continue
		}
		f := s.Site.Fabrics[index]
		// An answer that says nothing of any device needs no numbers.
		if a.err == nil && (a.since == 0 || len(a.observation.Devices) > 0) {
			a.err = fabric.SameNumbering(f.ID, a.observation.Numbering, p.numberings.of(p, index))
		}
		if a.err != nil {
			p.log.Warn("fabric not read back", "fabric", f.ID, "why", a.err.Error())
			if err := p.expire(ctx, index, now); err != nil {
				return err
			}
			continue
		}
		if a.since == 0 {
			p.seen.swept[f.ID] = now
		}
		if err := p.judge(ctx, index, a.observation, now); err != nil {
			return err
		}
		p.seen.cursors[f.ID] = a.observation.Cursor
		p.seen.confirmed[f.ID] = a.observation.At
	}
	return nil
}

// answer is what a fabric's driver said.
type answer struct {
	driver      fabric.Driver // nil: the fabric has none
	since       uint64
	observation fabric.Observation
	err         error
}

// expire makes all of a fabric unknown that has not been read for longer than
// the window.
func (p *Plane) expire(ctx context.Context, index int, now time.Time) error {
	f := p.w.state.Site.Fabrics[index]
	last, read := p.seen.confirmed[f.ID]
	if !read || now.Sub(last) <= p.w.state.Policy.IsolationWindow {
		return nil
	}
	var lost []site.Leaf
	for _, leaf := range p.seen.leaves(index) {
		if !p.seen.unread[leaf] {
			lost = append(lost, leaf)
		}
	}
	p.seen.lose(lost)
	return p.record(ctx, f, nil, nil, lost, nil, nil)
}

// judge takes over one observation of a fabric.
func (p *Plane) judge(ctx context.Context, index int, o fabric.Observation, now time.Time) error {
	s := p.w.state
	f := s.Site.Fabrics[index]
	var drifted, worse, restored []book.PortFinding
	var lost, back []site.Leaf
	raw := map[string]json.RawMessage{}
	quiet := map[site.Leaf]bool{}
	for d, decoded := range p.decode(f, o.Devices) {
		readings, err := decoded.readings, decoded.err
		if err != nil {
			p.log.Error("read-back can't be decoded, so it counts for nothing", "leaf", s.Site.LeafID(d.Leaf), "why", err.Error())
		}
		if !d.Reachable || err != nil {
			quiet[d.Leaf] = true
			if p.seen.mute(d.Leaf, p.seen.confirmed[f.ID], o.At, now, s.Policy.IsolationWindow) {
				lost = append(lost, d.Leaf)
			}
			continue
		}
		p.seen.prover.Read(d.Leaf, d.At, readings)
		bad := false
		for port := range p.seen.portsOf(d.Leaf) {
			p.seen.recount(port.Node())
			verdict, check := p.seen.prover.Verdict(port)
			lock, drifting := s.Locked[port]
			switch {
			case drifting && verdict == prove.Red && prove.Rewritten(lock.Check) && lock.Cause != book.CauseLocked:
				worse = append(worse, book.PortFinding{Port: port, Check: check.String()})
			case drifting && verdict == prove.Proven && p.seen.AsWanted(port):
				restored = append(restored, book.PortFinding{Port: port, Check: check.String()})
			case !drifting && (verdict == prove.Red || check.Rewritten()) && p.seen.settled[port]:
				drifted = append(drifted, book.PortFinding{Port: port, Check: check.String()})
				bad = true
			}
		}
		if bad {
			raw[s.Site.LeafID(d.Leaf)], _ = json.Marshal(d.Raw) // bytes always encode
		}
	}
	// Every other leaf answered that it is as last read.
	for leaf := range p.seen.silent {
		if s.Site.FabricOfLeaf(leaf) == index && !quiet[leaf] {
			delete(p.seen.silent, leaf)
			if p.seen.unread[leaf] {
				delete(p.seen.unread, leaf)
				p.seen.prover.MarkRead(leaf, o.At)
				back = append(back, leaf)
			}
		}
	}
	slices.Sort(back)
	if err := p.recordSilence(ctx, index); err != nil {
		return err
	}
	if err := p.record(ctx, f, drifted, restored, lost, back, raw); err != nil {
		return err
	}
	// What leaked nothing before, and leaks now.
	return p.lockdown(ctx, f, worse)
}

// decodedReading is what one device said, or why it counts for nothing.
type decodedReading struct {
	readings []fabric.Reading
	err      error
}

// decode reads what devices said, on all cores, some hundred at a time: the
// readings of a whole fabric are a hundred megabytes.
func (p *Plane) decode(f site.Fabric, devices []fabric.DeviceReading) iter.Seq2[fabric.DeviceReading, decodedReading] {
	return func(yield func(fabric.DeviceReading, decodedReading) bool) {
		var decoded [256]decodedReading
		for some := range slices.Chunk(devices, len(decoded)) {
			p.shard(len(some), func(i int) {
				decoded[i] = decodedReading{}
				if some[i].Reachable {
					decoded[i].readings, decoded[i].err = decodeReadings(p.w.state.Site, f, some[i])
				}
			})
			for i, d := range some {
				if !yield(d, decoded[i]) {
					return
				}
			}
		}
	}
}

// recordSilence makes the ledger say which leaves of a fabric do not answer, and
// since when.
func (p *Plane) recordSilence(ctx context.Context, index int) error {
	s := p.w.state
	begun := map[time.Time][]site.Leaf{}
	var ended []site.Leaf
	for leaf, since := range p.seen.silent {
		if _, known := s.Silent[leaf]; !known && s.Site.FabricOfLeaf(leaf) == index {
			begun[since] = append(begun[since], leaf)
		}
	}
	for leaf := range s.Silent {
		if _, silent := p.seen.silent[leaf]; !silent && s.Site.FabricOfLeaf(leaf) == index {
			ended = append(ended, leaf)
		}
	}
	for _, since := range slices.SortedFunc(maps.Keys(begun), time.Time.Compare) {
		slices.Sort(begun[since])
		if err := p.carry(ctx, book.ReportSilent{Leaves: begun[since], Since: since}); err != nil {
			return err
		}
	}
	if len(ended) == 0 {
		return nil
	}
	slices.Sort(ended)
	return p.carry(ctx, book.ReportSilent{Leaves: ended, Ended: true})
}

// record turns what was judged into entries, and locks drifted ports down as
// far as the brake allows.
func (p *Plane) record(ctx context.Context, f site.Fabric, drifted, restored []book.PortFinding, lost, back []site.Leaf, raw map[string]json.RawMessage) error {
	if len(back) > 0 {
		if err := p.carry(ctx, book.ReportUnread{Leaves: back, Readable: true, Reason: "it answers again"}); err != nil {
			return err
		}
	}
	if len(lost) > 0 {
		if err := p.carry(ctx, book.ReportUnread{Leaves: lost, Reason: "it does not answer"}); err != nil {
			return err
		}
	}
	if len(restored) > 0 {
		if err := p.carry(ctx, book.ReportRestored{Fabric: f.ID, Ports: restored}); err != nil {
			return err
		}
	}
	if len(drifted) == 0 {
		return nil
	}
	evidence, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	if err := p.carry(ctx, book.ReportDrift{Fabric: f.ID, Ports: drifted, Evidence: evidence}); err != nil {
		return err
	}
	return p.lockdown(ctx, f, leaking(drifted))
}

// leaking leaves out ports whose drift leaks nothing: they are written again, and
// closing them would cost their tenant more.
func leaking(drifted []book.PortFinding) (red []book.PortFinding) {
	for _, d := range drifted {
		if !prove.Rewritten(d.Check) {
			red = append(red, d)
		}
	}
	return red
}

// lockdown closes drifted ports, at most as many as the brake allows by one
// cause, and engages the brake when there are more: a read-back that condemns
// half a site at once is more likely wrong than the site.
func (p *Plane) lockdown(ctx context.Context, f site.Fabric, drifted []book.PortFinding) error {
	if len(drifted) == 0 || p.config.Observe {
		return nil
	}
	now, err := p.w.now()
	if err != nil {
		return err
	}
	close := drifted
	if budget := p.w.state.Budget("lockdown", now); len(close) > budget {
		close = close[:budget]
	}
	if len(close) > 0 {
		ports := make([]site.Port, len(close))
		for i := range close {
			ports[i] = close[i].Port
		}
		index, _ := p.w.state.Site.FabricByID(f.ID)
		driver := p.config.Devices.Fabrics[f.ID]
		err := p.sameNumbers(ctx, index, driver)
		if err == nil {
			err = driver.Lockdown(ctx, ports, p.fence())
		}
		if err != nil {
			p.heed(ctx, f.ID, err)
			p.log.Error("lockdown failed", "fabric", f.ID, "ports", len(ports), "why", err.Error())
		} else if err := p.carry(ctx, book.ReportLocked{Fabric: f.ID, Ports: close}); err != nil {
			return err
		}
	}
	if len(close) < len(drifted) {
		return p.carry(ctx, book.EngageBrake{
			Cause: "lockdown", By: book.Loop,
			Detail: brakeDetail(len(drifted), f.ID, len(close)),
		})
	}
	return nil
}

// applyPorts carries out port work, fabric by fabric. What fails stays pending
// and is planned again.
func (p *Plane) applyPorts(ctx context.Context, work []book.PortWork) {
	byFabric := map[string][]fabric.PortRow{}
	s := p.w.state
	for _, w := range work {
		f := s.Site.Fabrics[s.Site.FabricOf(w.Port)]
		byFabric[f.ID] = append(byFabric[f.ID], fabric.PortRow{Port: w.Port, Row: fabric.Compile(f.Family, w.Label.Value)})
	}
	for index, f := range s.Site.Fabrics {
		rows := byFabric[f.ID]
		driver := p.config.Devices.Fabrics[f.ID]
		if len(rows) == 0 || driver == nil {
			continue
		}
		var receipt fabric.Receipt
		change, err := driver.Plan(rows, p.seen.tables)
		if err == nil {
			change.Numbering = p.numberings.of(p, index)
			receipt, err = driver.Apply(ctx, change, p.fence())
		}
		if err != nil {
			p.heed(ctx, f.ID, err)
			p.log.Warn("ports not applied; they are planned again", "fabric", f.ID, "ports", len(rows), "why", err.Error())
			for _, r := range rows {
				p.seen.stuck[r.Port] = true
			}
		}
		for _, failed := range receipt.Failed {
			p.seen.stuck[failed.Port] = true
		}
	}
}

// freeLabels makes released labels available again once their cool-down is over,
// read-back shows them nowhere, and every port that had them last has been read. What
// a leaf carries that does not answer, or that this writer has not read yet, nobody
// knows: then none is free.
func (p *Plane) freeLabels(ctx context.Context) (bool, error) {
	now := p.config.Clock.Now()
	for index, f := range p.w.state.Site.Fabrics {
		pool, read := p.w.state.Labels[f.ID], p.seen.confirmed[f.ID]
		var cool []fabric.Allocation
		for _, a := range pool.Allocations() {
			if until, cooling := pool.CoolUntil(a.Value); cooling && !now.Before(until) && !read.Before(until) {
				cool = append(cool, a)
			}
		}
		if len(cool) == 0 || !p.seen.whole(index) || !p.shown(ctx, f.ID, now, read) {
			continue
		}
		for _, a := range cool {
			c := book.FreeLabel{
				Label:       fabric.Label{Fabric: f.ID, Kind: fabric.KindOf(f.Family), Value: a.Value},
				Occurrences: p.seen.prover.Occurrences(index, a.Value), Unseen: p.unseen(index, a.Owner),
			}
			if c.Occurrences+c.Unseen > 0 {
				continue // the book would refuse it at every look
			}
			if err := p.carry(ctx, c); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// shown reports whether every leaf of a fabric was shown this term's fence before it was
// read last, and has it shown where it was not. In a term that has written nothing yet an
// older writer's word still counts, and it could give a label again that it knows of.
func (p *Plane) shown(ctx context.Context, fabricID string, now, read time.Time) bool {
	at, is := p.seen.shown[fabricID]
	if is {
		return read.After(at)
	}
	driver := p.config.Devices.Fabrics[fabricID]
	can, err := driver.Capabilities(ctx)
	if err == nil && can.Fencing != fabric.FencedByDevice {
		return true // what an older writer began has ended when the driver writes
	}
	if err == nil && !p.w.state.Control.Adopted {
		// Leaves that do not answer are shown it before they are read.
		_, err = driver.Apply(ctx, fabric.NewChange(fabricID, nil), p.fence())
		if err == nil {
			p.seen.shown[fabricID] = now
		}
	}
	if err != nil {
		p.heed(ctx, fabricID, err)
		p.log.Warn("the fence of this term can't be shown", "fabric", fabricID, "why", err.Error())
	}
	return false
}

// unseen counts the ports of a fabric whose nodes an owner had last and which do not
// read as they are to be: of an adapter that is silent only the leaf's half is known.
func (p *Plane) unseen(index int, owner fabric.Owner) (ports int) {
	s := p.w.state
	for _, n := range s.LastHeld(owner) {
		for _, nic := range s.Site.NICsOf(n) {
			if port := site.PortOf(n, nic); s.Site.FabricOf(port) == index && !p.seen.AsWanted(port) {
				ports++
			}
		}
	}
	return ports
}

// decodeReadings reads a device's own bytes by the family of its fabric.
func decodeReadings(s *site.Site, f site.Fabric, d fabric.DeviceReading) ([]fabric.Reading, error) {
	if f.Family == site.InfiniBand {
		return infiniband.Decode(d.Raw)
	}
	return ethernet.Read(s, d.Leaf, d.Raw)
}

func brakeDetail(red int, fabricID string, locked int) string {
	return fmt.Sprintf("read-back shows %d red ports in fabric %s at once; %d were locked down, the rest waits for a second person", red, fabricID, locked)
}
