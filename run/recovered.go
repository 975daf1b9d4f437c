package run

import (
	"context"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/site"
)

// explain compares what every port carries with what is left of a ledger that has
// lost entries, once all fabrics have been read back. Until then nothing is due
// and nothing is written. A port that can't be read is not explained either.
func (p *Plane) explain(ctx context.Context) error {
	if !p.seen.Fresh() {
		return nil
	}
	var strange []site.Index
	for n := range site.Index(p.w.state.Site.Nodes()) {
		if p.w.state.Nodes.State[n] == node.Discovered {
			continue
		}
		for _, nic := range p.w.state.Site.NICsOf(n) {
			if port := site.PortOf(n, nic); !p.seen.AsWanted(port) || !p.seen.Readable(p.w.state.Site.LeafOf(port)) {
				strange = append(strange, n)
				break
			}
		}
	}
	if err := p.carry(ctx, book.Explain{Nodes: strange}); err != nil {
		return err
	}
	p.seen.follow()
	return nil
}
