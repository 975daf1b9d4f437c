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
// phase, and newer dates and policy are taken over. A template that would change
// or take away what exists is refused whole (see site.Diff), before anything of
// it is recorded. progress is called after each batch.
func (p *Plane) Import(ctx context.Context, t *site.Template, progress func(nodes, of int)) error {
	_, err := p.ImportAs(ctx, "", t, progress)
	return err
}

// ImportAs is Import under a command id. The id is recorded with the last batch:
// an import that was interrupted before is not done, and goes on where it ended
// when the same request comes again.
func (p *Plane) ImportAs(ctx context.Context, id string, t *site.Template, progress func(nodes, of int)) (Result, error) {
	if r, did, err := p.Done(id); err != nil || did {
		return r, err
	}
	header := t.Header()
	if err := p.timeFits(header.Origin); err != nil {
		return Result{}, &book.Refusal{Field: "template", Reason: err.Error()}
	}
	encoded, err := header.Encode()
	if err != nil {
		return Result{}, err
	}
	known := map[string]bool{}
	var was *site.Site
	p.View(func(s *book.State) {
		if s.Site == nil {
			return
		}
		was = s.Site.Snapshot()
		for i := range s.Site.SUs {
			known[s.Site.SUs[i].ID] = true
		}
	})
	if was != nil && was.Name == header.Name { // another name is refused by the book
		change, err := site.Diff(was, header, t)
		if err == nil {
			err = change.Err()
		}
		if err != nil {
			return Result{}, &book.Refusal{Field: "template", Reason: err.Error()}
		}
	}
	var batch []book.ImportedUnit
	var result Result
	nodes := 0
	submit := func(id string) error {
		p.mu.Lock()
		defer p.unlock()
		for _, su := range batch {
			p.w.cache.parsed[digestOf(su.Body)] = su.Inventory
		}
		if result, err = p.submit(ctx, id, book.ImportSite{Header: header, HeaderBody: encoded, SUs: batch}); err != nil {
			for _, su := range batch {
				delete(p.w.cache.parsed, digestOf(su.Body))
			}
			return err
		}
		p.seen.grow(p.w.state)
		batch = nil
		return nil
	}
	_, err = t.Compile(func(inv *site.SUInventory) error {
		if known[inv.SU] {
			nodes += len(inv.Nodes)
			return nil
		}
		if len(batch) == importBatch { // the last batch must wait: it carries the id
			if err := submit(""); err != nil {
				return err
			}
			if progress != nil {
				progress(nodes, t.Nodes())
			}
		}
		nodes += len(inv.Nodes)
		batch = append(batch, book.ImportedUnit{Inventory: inv, Body: inv.Encode()})
		return ctx.Err()
	})
	if err == nil {
		err = submit(id)
	}
	if err != nil {
		return Result{}, fmt.Errorf("import: %w", err)
	}
	if progress != nil {
		progress(nodes, t.Nodes())
	}
	return result, nil
}
