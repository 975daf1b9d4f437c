package run

import (
	"context"
	"fmt"

	"bulkhead/book"
	"bulkhead/site"
)

// importBatch is how many scalable units one command imports: enough to make
// the transactions few, few enough to keep the bodies in memory small.
const importBatch = 32

// Import compiles a site template and adds what the ledger does not have yet.
// It is the answer to growth as well: a template with another phase adds that
// phase. progress is called after each batch.
func (p *Plane) Import(ctx context.Context, t *site.Template, progress func(nodes, of int)) error {
	header := t.Header()
	encoded, err := header.Encode()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	p.View(func(s *book.State) {
		if s.Site == nil {
			return
		}
		for i := range s.Site.SUs {
			known[s.Site.SUs[i].ID] = true
		}
	})
	var batch []book.ImportedUnit
	nodes := 0
	submit := func() error {
		if len(batch) == 0 {
			return nil
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, su := range batch {
			p.w.cache.parsed[digestOf(su.Body)] = su.Inventory
		}
		if _, err := p.submit(ctx, "", book.ImportSite{Header: header, HeaderBody: encoded, SUs: batch}); err != nil {
			return err
		}
		p.seen.grow(p.w.state)
		batch = nil
		return nil
	}
	_, err = t.Compile(func(inv *site.SUInventory) error {
		nodes += len(inv.Nodes)
		if known[inv.SU] {
			return nil
		}
		batch = append(batch, book.ImportedUnit{Inventory: inv, Body: inv.Encode()})
		if len(batch) < importBatch {
			return nil
		}
		if err := submit(); err != nil {
			return err
		}
		if progress != nil {
			progress(nodes, t.Nodes())
		}
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if err := submit(); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if progress != nil {
		progress(nodes, t.Nodes())
	}
	return nil
}
