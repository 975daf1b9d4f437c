package run

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/node"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// evidenceBatch is how many nodes' evidence one command holds.
const evidenceBatch = 256

// askNodes asks what nodes have said since: their health, and the outcomes of the steps
// that they were given.
func (p *Plane) askNodes(ctx context.Context) {
	lane := p.asking.lane(laneNodes)
	if p.devices().Nodes == nil || !p.asking.idle(lane) {
		return
	}
	if p.seen.listing {
		p.seen.nodes = 0 // half of a full list says nothing of who is not on it
	}
	// From the beginning only those are listed that are not well: who is not among
	// them has recovered while nobody looked.
	p.seen.listing = p.seen.nodes == 0
	p.seen.note(func() { p.seen.nodesComplete, p.seen.nodesAsked = false, p.config.Clock.Now() })
	clear(p.seen.unwell)
	p.askPage(ctx, lane, p.seen.nodes)
}

// askPage asks for one page of what nodes said.
func (p *Plane) askPage(ctx context.Context, lane *lane, since uint64) {
	driver := p.devices().Nodes
	p.asking.ask(ctx, "what nodes said", func(ctx context.Context) handler {
		o, err := driver.Observe(ctx, since)
		return func(ctx context.Context) error { return p.hearNodes(ctx, lane, since, o, p.asking.answered(lane, err)) }
	}, lane)
}

// hearNodes takes over one page. The next comes while this one is checked: what a wave
// of turnovers says is long to write and long to check.
func (p *Plane) hearNodes(ctx context.Context, lane *lane, since uint64, o node.Observation, err error) error {
	if err != nil {
		p.log.Warn("nodes not observed", "why", err.Error())
		return nil
	}
	more := o.More && o.Cursor > since
	if more {
		p.askPage(ctx, lane, o.Cursor)
	}
	for i := range o.Reports {
		if h := o.Reports[i].Health; h != nil {
			p.seen.unwell[o.Reports[i].Node] = true
		}
	}
	if err := p.takeReports(ctx, o); err != nil {
		return err // the page that is on its way goes nowhere
	}
	p.seen.nodes = o.Cursor
	if more {
		return nil
	}
	full := p.seen.listing
	p.seen.listing = false
	p.seen.nodesAt = o.At
	if now := p.config.Clock.Now(); o.At.After(now) {
		// What their clock is ahead does not count, or else the next look at the same
		// instant would be none.
		p.seen.nodesAt = now
	}
	p.seen.note(func() { p.seen.nodesComplete = true })
	if !full || p.config.Observe {
		return nil
	}
	recovered := p.w.state.Unwell(func(n site.Index) bool { return p.seen.unwell[n] })
	if len(recovered.Items) == 0 {
		return nil
	}
	return p.carry(ctx, recovered)
}

// takeReports takes over one observation of nodes.
func (p *Plane) takeReports(ctx context.Context, o node.Observation) error {
	if p.config.Observe {
		return nil
	}
	var health book.ReportHealth
	var outcomes []outcome
	for i := range o.Reports {
		r := &o.Reports[i]
		if int(r.Node) >= len(p.w.state.Nodes.State) {
			p.log.Warn("a report of a node that the site does not have", "index", r.Node)
			continue
		}
		if r.Health != nil {
			health.Items = append(health.Items, book.HealthItem{
				Node: r.Node, Class: r.Health.Class, Alive: r.Health.Alive, Failed: r.Health.Failed, Quiet: o.At.Sub(r.At), Detail: r.Health.Detail,
			})
		}
		if r.Step != "" && r.Step == p.w.state.ExpectedStep(r.Node) {
			outcomes = append(outcomes, outcome{report: r})
		}
	}
	if len(health.Items) > 0 {
		if err := p.carry(ctx, health); err != nil {
			return err
		}
	}
	for len(outcomes) > 0 {
		n := min(evidenceBatch, len(outcomes))
		if err := p.takeOutcomes(ctx, outcomes[:n]); err != nil {
			return err
		}
		outcomes = outcomes[n:]
	}
	return nil
}

// outcome is the report of a step with what became of checking it.
type outcome struct {
	report  *node.Report
	item    book.EvidenceItem
	err     error
	severed bool // a step of severing that ended
	mended  bool // a repair that ended
}

// told is why a node is quarantined, for its tenant: what the driver says may name
// devices, files and sockets of the owner's.
func (o *outcome) told() string {
	if !o.report.OK {
		return "the step failed"
	}
	return o.err.Error()
}

// takeOutcomes checks outcomes in parallel, and gives the book what was found.
func (p *Plane) takeOutcomes(ctx context.Context, outcomes []outcome) error {
	p.shard(len(outcomes), func(i int) { p.examine(ctx, &outcomes[i]) })
	var good book.Evidence
	var bad book.Quarantine
	var mended book.Repaired
	for i := range outcomes {
		o := &outcomes[i]
		switch {
		case o.err != nil:
			bad.Nodes = append(bad.Nodes, o.report.Node)
			bad.Reason = append(bad.Reason, o.err.Error())
			bad.Told = append(bad.Told, o.told())
			bad.Evidence = append(bad.Evidence, o.report.Raw)
		case o.mended:
			mended.Nodes = append(mended.Nodes, o.report.Node)
		case o.severed:
			p.seen.silenced.Add(o.report.Node)
		default:
			good.Items = append(good.Items, o.item)
		}
	}
	for _, c := range []book.Command{good, bad, mended} {
		if err := p.carry(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// examine checks one outcome. It reads the state and changes nothing.
func (p *Plane) examine(ctx context.Context, o *outcome) {
	s, n := p.w.state, o.report.Node
	if !o.report.OK {
		o.err = errors.New("the step failed: " + o.report.Error)
		return
	}
	if s.Nodes.State[n] == node.Repair {
		o.mended = true
		return
	}
	e, err := node.DecodeEvidence(o.report.Raw)
	if err != nil {
		o.err = err
		return
	}
	switch s.Nodes.State[n] {
	case node.Reclaiming:
		if e.Grants != 0 || e.Sessions != 0 {
			o.err = errors.New("the node still has storage grants or management sessions of its last tenant")
			return
		}
		o.severed = true
	case node.Sanitizing:
		body, err := json.Marshal(e.Receipts)
		if err != nil {
			o.err = err
			return
		}
		o.item.Body = body
		o.item.Checked, o.err = book.CheckWipe(s, n, e.Receipts, body)
	case node.Attesting:
		if e.Receipts, o.err = p.receipts(ctx, n); o.err == nil {
			o.item, o.err = p.statement(n, e)
		}
	default:
		o.item, o.err = p.statement(n, e)
	}
}

// receipts reads back the receipts of the wipe before an attestation.
func (p *Plane) receipts(ctx context.Context, n site.Index) ([]wipe.SanitizeReceipt, error) {
	body, err := p.w.cache.bodyOf(ctx, p.w.state.Nodes.Wiped[n])
	if err != nil {
		return nil, err
	}
	var receipts []wipe.SanitizeReceipt
	// Lenient JSON: a body of the ledger that was read exactly when it came, found by its digest.
	return receipts, json.Unmarshal(body, &receipts)
}

// statement makes the one signed statement of a node's turnover and checks it.
func (p *Plane) statement(n site.Index, e node.Evidence) (book.EvidenceItem, error) {
	s := p.w.state
	want := s.ExpectedTurnover(n)
	t := node.Turnover{
		Node: want.Node, Serial: want.Serial, Kind: s.Site.KindOf(n), Turnover: want.Turnover, Origin: s.Site.Origin,
		Root: want.Root, WipeRoot: want.WipeRoot, Devices: want.Devices, Key: want.Key, Golden: want.Golden,
		Receipts: e.Receipts, Quote: e.Quote, BurnIn: e.BurnIn,
	}
	signer, err := p.config.Signers.Statement(claim.PurposeStatement)
	if err != nil {
		return book.EvidenceItem{}, err
	}
	statement, err := claim.NewStatement(t.Node, t.Devices, node.TurnoverPredicate, &t)
	if err != nil {
		return book.EvidenceItem{}, err
	}
	signed, err := claim.Sign(statement, signer)
	if err != nil {
		return book.EvidenceItem{}, err
	}
	checked, err := book.CheckTurnover(s, n, &t, signed)
	return book.EvidenceItem{Checked: checked, Body: signed}, err
}

// severReclaimed moves reclaimed nodes on whose ports, grants and sessions are
// shown to be free of their last tenant.
func (p *Plane) severReclaimed(ctx context.Context) error {
	s := p.w.state
	var c book.Sever
	for n := range s.Nodes.By[node.Reclaiming].All() {
		if !p.seen.silenced.Has(n) || p.seen.pending.Has(n) {
			continue
		}
		if i := s.Nodes.Owner[n]; i != book.NoLease && !s.Leases[i].Returning.IsZero() && len(s.Reached(s.Leases[i])) > 0 {
			continue // its lease can still reach its volumes
		}
		proof := book.SeverProof{Node: s.Site.NodeID[n], Turnover: s.Nodes.Turnover[n], Origin: s.Site.Origin}
		for _, nic := range s.Site.NICsOf(n) {
			port := site.PortOf(n, nic)
			read := book.SeveredPort{Fabric: s.Site.Fabrics[s.Site.FabricOf(port)].ID, NIC: nic, Labels: []uint32{}}
			for _, m := range p.seen.tables.NIC(port) {
				read.Labels = append(read.Labels, m.Value())
			}
			for _, m := range p.seen.tables.Leaf(port) {
				read.Labels = append(read.Labels, m.Value())
			}
			proof.Ports = append(proof.Ports, read)
		}
		c.Nodes = append(c.Nodes, n)
		c.Proofs = append(c.Proofs, proof)
	}
	if len(c.Nodes) == 0 {
		return nil
	}
	if err := p.carry(ctx, c); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		p.seen.silenced.Remove(n)
	}
	return nil
}

// shard runs work for 0 to n-1 on as many goroutines as there are processors.
func (p *Plane) shard(n int, work func(i int)) {
	shards := p.config.Shards
	if shards <= 0 {
		shards = runtime.GOMAXPROCS(0)
	}
	if shards = min(shards, n); shards <= 1 {
		for i := range n {
			work(i)
		}
		return
	}
	var wait sync.WaitGroup
	for shard := range shards {
		wait.Go(func() {
			for i := shard; i < n; i += shards {
				work(i)
			}
		})
	}
	wait.Wait()
}
