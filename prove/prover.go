package prove

import (
	"iter"
	"time"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Prover keeps the verdict of every edge port of a site as readings and facts
// change. It is not safe for concurrent use.
type Prover struct {
	facts   *Facts
	tables  *fabric.Tables
	enabled symptoms

	reason  []Check     // by port
	marks   []mark      // by port
	counted [][2]uint32 // by port: label values counted in occurrences, misplacedBit set where misplaced
	spill   map[site.Port][]uint32

	readAt []int64 // by leaf: unix nanoseconds of the last read-back that counts; 0: never
	unread []bool  // by leaf: nothing read there counts now
	strays map[site.Leaf][]strayPort
}

const misplacedBit = 1 << 31

// mark is a yes-or-no fact that a port's last reading has beside its verdict.
type mark uint8

const (
	markOdd  mark = 1 << iota // the verdict depends on the holders of the node's other ports
	markOpen                  // it may send under labels that its table does not hold, or reach limited members
	markRead                  // it has been read back at some time
)

// opening are the violations at one port that put every port of the fabric at
// risk, not only the owners of the labels that it carries.
const opening symptoms = 1<<EnforcementOff | 1<<TableFull | 1<<SharedFull

// strayPort is a live leaf port that no node of the inventory is cabled to.
type strayPort struct {
	values []uint32 // counted in occurrences, misplacedBit set where misplaced
	open   bool     // it does not enforce its table
}

// Tally counts ports by verdict.
type Tally struct {
	Proven, Cut, Red, Unknown int
}

// Ports returns how many ports were counted.
func (t Tally) Ports() int { return t.Proven + t.Cut + t.Red + t.Unknown }

func (t *Tally) count(v Verdict, by int) {
	switch v {
	case Proven:
		t.Proven += by
	case Cut:
		t.Cut += by
	case Red:
		t.Red += by
	default:
		t.Unknown += by
	}
}

// NewProver returns a prover over the read-back in tables, which the caller goes
// on to write and must have grown to the site's ports. Every port is unknown
// until its leaf is read.
func NewProver(s *site.Site, tables *fabric.Tables) *Prover {
	p := &Prover{facts: NewFacts(s), tables: tables, enabled: everyCheck,
		spill: map[site.Port][]uint32{}, strays: map[site.Leaf][]strayPort{}}
	p.Grow()
	return p
}

// Grow makes room for what was added to the site.
func (p *Prover) Grow() {
	p.facts.Grow()
	p.tables.Grow(len(p.facts.holder))
	from, to := len(p.reason), len(p.facts.holder)
	if more := to - from; more > 0 {
		p.reason = append(p.reason, make([]Check, more)...)
		p.marks = append(p.marks, make([]mark, more)...)
		p.counted = append(p.counted, make([][2]uint32, more)...)
		for port := from; port < to; port++ {
			p.reason[port] = Unreadable
		}
	}
	for len(p.readAt) < len(p.facts.leaf) {
		p.readAt = append(p.readAt, 0)
		p.unread = append(p.unread, true)
	}
}

// Follow makes room for what was added to the site, of which s is a later copy.
func (p *Prover) Follow(s *site.Site) {
	p.facts.site = s
	p.Grow()
}

// Facts returns what the ledger says, for reading.
func (p *Prover) Facts() *Facts { return p.facts }

// view fills v with what the checks look at.
func (p *Prover) view(v *portView, port site.Port, leaf site.Leaf) {
	v.port, v.nic, v.leaf = port, p.tables.NIC(port), p.tables.Leaf(port)
	v.flags, v.class, v.neighbour = p.tables.Flags(port), p.tables.Class(port), p.tables.Neighbour(port)
	v.unread = p.unread[leaf]
	v.uncounted = len(p.strays) > 0 && len(p.strays[leaf]) > 0
}

// Update judges a port again, after its reading changed in the tables.
// Cost: about 50 ns.
func (p *Prover) Update(port site.Port) {
	leaf := p.facts.site.LeafOf(port)
	f := p.facts.leaf[leaf]
	if f == noFabric {
		return
	}
	var v portView
	p.view(&v, port, leaf)
	s := p.facts.examine(&v, f)
	p.mark(port, f, s, v.flags)
	p.count(port, f, v.nic, v.leaf)
	p.reason[port] = s.first(p.enabled)
}

// mark keeps the marks of a port and the fabric's counts of them.
func (p *Prover) mark(port site.Port, f uint8, s symptoms, flags fabric.Flags) {
	var now mark
	if s&usedTurnover != 0 {
		now |= markOdd
	}
	if flags&fabric.FlagRead != 0 {
		now |= markRead
		if s&opening&p.enabled != 0 {
			now |= markOpen
		}
	}
	was := p.marks[port]
	if was == now {
		return
	}
	p.marks[port] = now
	o := &p.facts.owners[f]
	o.open += int(now>>1&1) - int(was>>1&1)
	o.read += int(now>>2&1) - int(was>>2&1)
}

// Hold records who holds a port, and judges it again. Cost: about 60 ns.
func (p *Prover) Hold(port site.Port, holder uint32) {
	if p.facts.holder[port] == holder {
		return
	}
	p.facts.holder[port] = holder
	p.Update(port)
	n := port.Node()
	for sibling := site.PortOf(n, 0); sibling < site.PortOf(n+1, 0); sibling++ {
		if p.marks[sibling]&markOdd != 0 && sibling != port {
			p.Update(sibling)
		}
	}
}

// Own records that a label value of a fabric (an index into Site.Fabrics)
// belongs to a holder from now on: when it is assigned, and with Nobody when it
// is freed. While it cools down it still belongs to its last owner. A value
// never passes from one holder to another without being freed between. The
// shared labels and the nodes' turnover labels need no Own.
// Cost: O(1) for a value that no port carries, else O(ports).
func (p *Prover) Own(fabricIndex int, value, holder uint32) error {
	changed, err := p.facts.own(fabricIndex, value, holder)
	if err != nil || !changed {
		return err
	}
	if p.Occurrences(fabricIndex, value) > 0 {
		for port := range p.reason {
			if int(p.facts.fabricOf(site.Port(port))) == fabricIndex {
				p.Update(site.Port(port))
			}
		}
	}
	return nil
}

// Verdict returns the verdict of a port, and the check that it follows from.
func (p *Prover) Verdict(port site.Port) (Verdict, Check) {
	c := p.reason[port]
	return c.Verdict(), c
}

// Failed lists every check that a port fails, as last read: the first of them is
// the reason of its verdict. Cost: that of Update.
func (p *Prover) Failed(port site.Port) (failed []Check) {
	var v portView
	leaf := p.facts.site.LeafOf(port)
	if p.facts.leaf[leaf] == noFabric {
		return nil
	}
	p.view(&v, port, leaf)
	s := p.facts.examine(&v, p.facts.leaf[leaf])
	for _, c := range Checks() {
		if s&(1<<c) != 0 {
			failed = append(failed, c)
		}
	}
	return failed
}

// Sweep judges every port again.
func (p *Prover) Sweep() {
	for port := range p.reason {
		p.Update(site.Port(port))
	}
}

// Read records a leaf's read-back: it writes the tables, judges the leaf's ports
// again and makes its read-back count from at on. Ports that the leaf did not
// list lose their reading. Live ports that are not in the inventory make all of
// the leaf unknown, because nobody has counted what is behind them; what they
// carry counts as misplaced. Readings are reordered.
func (p *Prover) Read(leaf site.Leaf, at time.Time, readings []fabric.Reading) {
	if int(leaf) >= len(p.facts.leaf) || p.facts.leaf[leaf] == noFabric {
		return // nobody has such a leaf, whoever reads one
	}
	located, strays := fabric.Locate(p.facts.site, leaf, readings)
	p.setStrays(leaf, strays)
	var listed [site.MaxSUNodes]bool
	for i := range located {
		listed[located[i].LeafPort-1] = true
		p.tables.Set(&located[i])
	}
	p.readAt[leaf], p.unread[leaf] = at.UnixNano(), false
	for port := range p.portsOf(leaf) {
		if !listed[p.facts.site.LeafPort(port)-1] {
			p.tables.Clear(port)
		}
		p.Update(port)
	}
}

// MarkRead records that a leaf answered at a time and that its tables are as
// last read. Cost: O(1) when it was readable before.
func (p *Prover) MarkRead(leaf site.Leaf, at time.Time) {
	if p.readAt[leaf] == 0 && p.unread[leaf] && !p.everRead(leaf) {
		return // there is nothing that could be unchanged
	}
	p.readAt[leaf] = max(p.readAt[leaf], at.UnixNano())
	if p.unread[leaf] {
		p.unread[leaf] = false
		p.updateLeaf(leaf)
	}
}

func (p *Prover) everRead(leaf site.Leaf) bool {
	for port := range p.portsOf(leaf) {
		if p.tables.Flags(port)&fabric.FlagRead != 0 {
			return true
		}
	}
	return false
}

// MarkUnknown makes what was read of a leaf count no more, until it is read
// again. Its last reading stays in the tables, and in the occurrences.
func (p *Prover) MarkUnknown(leaf site.Leaf) {
	if !p.unread[leaf] {
		p.unread[leaf] = true
		p.updateLeaf(leaf)
	}
}

// LastRead returns when a leaf was last read back, and whether that counts.
func (p *Prover) LastRead(leaf site.Leaf) (at time.Time, counts bool) {
	if p.readAt[leaf] == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, p.readAt[leaf]).UTC(), !p.unread[leaf]
}

func (p *Prover) updateLeaf(leaf site.Leaf) {
	for port := range p.portsOf(leaf) {
		p.Update(port)
	}
}

func (p *Prover) portsOf(leaf site.Leaf) iter.Seq[site.Port] {
	return func(yield func(site.Port) bool) {
		for _, n := range p.facts.site.SUs[leaf.SU()].Nodes {
			if !yield(site.PortOf(n, leaf.NIC())) {
				return
			}
		}
	}
}
