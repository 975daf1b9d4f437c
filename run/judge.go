package run

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// judgement is what one read-back of a fabric comes to.
type judgement struct {
	drifted, restored []book.PortFinding
	lost, back        []site.Leaf
	raw               map[string]json.RawMessage // of leaves with drifted ports
}

// judge takes over one read-back of a fabric.
func (p *Plane) judge(ctx context.Context, l look, o fabric.Observation, now time.Time) error {
	s := p.w.state
	f := s.Site.Fabrics[l.index]
	j := judgement{raw: map[string]json.RawMessage{}}
	quiet := map[site.Leaf]bool{}
	for some := range p.decode(f, p.ofFabric(l.index, o.Devices)) {
		p.seen.note(func() {
			for i, d := range some.devices {
				if err := some.decoded[i].err; err != nil {
					p.log.Error("read-back can't be decoded, so it counts for nothing", "leaf", s.Site.LeafID(d.Leaf), "why", err.Error())
				}
				if !d.Reachable || some.decoded[i].err != nil {
					quiet[d.Leaf] = true
					if p.seen.noAnswer(d.Leaf, p.seen.confirmed[f.ID], o.At, now, s.Policy.IsolationWindow) {
						j.lost = append(j.lost, d.Leaf)
					}
					continue
				}
				p.judgeLeaf(&j, l, d, some.decoded[i].readings, now)
				switch begins, ends := p.seen.differ(d.Leaf, some.decoded[i].differs, now); {
				case begins:
					p.log.Warn("a leaf's configuration differs from what is desired, and no check fails by it", "leaf", s.Site.LeafID(d.Leaf), "first", some.decoded[i].differs[0])
				case ends:
					p.log.Info("a leaf's configuration is as desired again", "leaf", s.Site.LeafID(d.Leaf))
				}
			}
		})
	}
	if l.scope.Leaves == nil { // every other leaf answered that it is as last read
		p.seen.note(func() { j.back = p.seen.speakAgain(l.index, quiet, o.At) })
	}
	if err := p.recordSilence(ctx, l.index); err != nil {
		return err
	}
	return p.record(ctx, f, &j)
}

// judgeLeaf takes over the read-back of one leaf.
func (p *Plane) judgeLeaf(j *judgement, l look, d fabric.DeviceReading, readings []fabric.Reading, now time.Time) {
	s := p.w.state
	p.seen.prover.Read(d.Leaf, d.At, readings)
	bad := false
	for port := range p.seen.portsOf(d.Leaf) {
		verdict, check, settled, sure := p.seen.verdictSince(port, l.position)
		p.seen.makeUnsure(port, !sure, now)
		p.seen.recount(port.Node())
		if !sure {
			continue
		}
		lock, drifting := s.Drifted[port]
		delivered := s.Nodes.State[port.Node()] == node.Delivered // else nobody is cut off
		found := book.PortFinding{Port: port, Check: check.String()}
		if verdict == prove.Red || check.Rewritten() {
			found.Seen = p.seen.prover.SeenAt(port)
		}
		switch {
		case drifting && verdict == prove.Proven && p.seen.AsWanted(port):
			j.restored = append(j.restored, book.PortFinding{Port: port, Check: check.String()})
		case drifting && verdict == prove.Red && (settled || p.seen.settled[port]) && lock.MadeOtherwise(found):
			j.drifted = append(j.drifted, found)
			bad = true
		case !drifting && (verdict == prove.Red || check.Rewritten() && delivered) && (settled || p.seen.settled[port]):
			j.drifted = append(j.drifted, found)
			bad = true
		}
	}
	if bad {
		j.raw[s.Site.LeafID(d.Leaf)], _ = json.Marshal(d.Raw) // bytes always encode
	}
}

// decodedReading is what one device said, or why it counts for nothing.
type decodedReading struct {
	readings []fabric.Reading
	differs  []string // what of the device's configuration is not as desired, and turns no verdict
	err      error
}

// someDecoded is a part of what the devices of a fabric said.
type someDecoded struct {
	devices []fabric.DeviceReading
	decoded []decodedReading
}

// decode reads what devices said, on all cores, some hundred at a time: the
// readings of a whole fabric are a hundred megabytes, and whoever looks at what was
// seen waits for one part at most.
func (p *Plane) decode(f site.Fabric, devices []fabric.DeviceReading) iter.Seq[someDecoded] {
	return func(yield func(someDecoded) bool) {
		var decoded [256]decodedReading
		for some := range slices.Chunk(devices, len(decoded)) {
			p.shard(len(some), func(i int) {
				decoded[i] = decodedReading{}
				if some[i].Reachable {
					decoded[i] = decodeReading(p.w.state.Site, f, some[i])
				}
			})
			if !yield(someDecoded{some, decoded[:len(some)]}) {
				return
			}
		}
	}
}

// decodeReading reads a device's own bytes by the family of its fabric.
func decodeReading(s *site.Site, f site.Fabric, d fabric.DeviceReading) (r decodedReading) {
	if f.Family == site.InfiniBand {
		r.readings, r.err = infiniband.Decode(d.Raw)
		return r
	}
	var c ethernet.Capture
	if c, r.err = ethernet.Decode(d.Raw); r.err == nil {
		r.differs = c.Differs
		r.readings, r.err = ethernet.Readings(s, d.Leaf, &c)
	}
	return r
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

// record turns what was judged into entries. What is to be closed follows from them:
// see book.NextLockdowns.
func (p *Plane) record(ctx context.Context, f site.Fabric, j *judgement) error {
	if len(j.back) > 0 {
		if err := p.carry(ctx, book.ReportUnread{Leaves: j.back, Readable: true, Reason: "it answers again"}); err != nil {
			return err
		}
	}
	if len(j.lost) > 0 {
		if err := p.carry(ctx, book.ReportUnread{Leaves: j.lost, Reason: "it does not answer"}); err != nil {
			return err
		}
	}
	if len(j.restored) > 0 {
		if err := p.carry(ctx, book.ReportRestored{Fabric: f.ID, Ports: j.restored}); err != nil {
			return err
		}
		p.log.Info("restored", "fabric", f.ID, "ports", len(j.restored), "first", p.w.state.Site.PortName(j.restored[0].Port))
	}
	if len(j.drifted) == 0 {
		return nil
	}
	first := j.drifted[0]
	p.log.Warn("drifted", "fabric", f.ID, "ports", len(j.drifted), "first", p.w.state.Site.PortName(first.Port), "check", first.Check)
	evidence, err := json.Marshal(j.raw)
	if err != nil {
		return err
	}
	return p.carry(ctx, book.ReportDrift{Fabric: f.ID, Ports: j.drifted, Evidence: evidence})
}
