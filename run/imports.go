package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// ImportAs is Import under a command id. Of a large site all batches but the last
// are staged, and exist with the last one only, which carries the id: the loop sees
// the site as it was or whole. An import that was interrupted is not done, changes
// nothing, and goes on where it ended when the same file comes again.
func (p *Plane) ImportAs(ctx context.Context, id string, t *site.Template, progress func(nodes, of int)) (Result, error) {
	if r, did, err := p.Done(id); err != nil || did {
		return r, err
	}
	if !p.importing.TryLock() {
		return Result{}, &book.Refusal{Field: "template", Reason: "another import is under way: wait until it has ended"}
	}
	defer p.importing.Unlock()
	header := t.Header()
	if err := p.timeFits(header.Origin); err != nil {
		return Result{}, &book.Refusal{Field: "template", Reason: err.Error()}
	}
	encoded, err := header.Encode()
	if err != nil {
		return Result{}, err
	}
	i := siteImport{p: p, t: t, header: header, encoded: encoded, known: map[string]bool{}, progress: progress}
	var was *site.Site
	p.View(func(s *book.State) {
		if s.Staged != nil && s.Staged.Header == digestOf(encoded) {
			i.before = slices.Clone(s.Staged.SUs)
		}
		if s.Site == nil {
			return
		}
		was = s.Site.Snapshot()
		for su := range s.Site.SUs {
			i.known[s.Site.SUs[su].ID] = true
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
	result, err := i.do(ctx, id)
	if errors.Is(err, errStagedOther) {
		i.before = nil
		result, err = i.do(ctx, id)
	}
	if err != nil {
		return Result{}, fmt.Errorf("import: %w", err)
	}
	return result, nil
}

// siteImport is one import under way.
type siteImport struct {
	p        *Plane
	t        *site.Template
	header   site.Header
	encoded  []byte
	known    map[string]bool   // scalable units that the site has
	before   []site.ImportedSU // that were staged before, of the same header
	progress func(nodes, of int)

	batch         []book.ImportedUnit
	staged, nodes int
}

// errStagedOther says that what was staged before is not how this file begins.
var errStagedOther = errors.New("what was staged before is of another file")

// do stages what the site does not have, from where the import before it ended, and
// adds it.
func (i *siteImport) do(ctx context.Context, id string) (Result, error) {
	i.batch, i.staged, i.nodes = nil, 0, 0
	_, err := i.t.Compile(func(inv *site.SUInventory) error {
		if i.known[inv.SU] {
			i.nodes += len(inv.Nodes)
			return nil
		}
		body := inv.Encode()
		if i.staged < len(i.before) {
			if i.before[i.staged].Inventory != digestOf(body) {
				return errStagedOther
			}
			i.staged++
			i.nodes += len(inv.Nodes)
			return ctx.Err()
		}
		if len(i.batch) == importBatch { // the last batch must wait: it carries the id
			if err := i.stage(ctx); err != nil {
				return err
			}
		}
		i.nodes += len(inv.Nodes)
		i.batch = append(i.batch, book.ImportedUnit{Inventory: inv, Body: body})
		return ctx.Err()
	})
	if err == nil && i.staged < len(i.before) {
		err = errStagedOther // it has more than the file
	}
	if err != nil {
		return Result{}, err
	}
	result, err := i.finish(ctx, id)
	if err == nil {
		i.told()
	}
	return result, err
}

func (i *siteImport) told() {
	if i.progress != nil {
		i.progress(i.nodes, i.t.Nodes())
	}
}

// stage records the batch. Nothing of it exists yet.
func (i *siteImport) stage(ctx context.Context) error {
	_, err := i.p.Submit(ctx, "", book.StageSite{Header: i.header, HeaderBody: i.encoded, Begin: i.staged == 0, SUs: i.batch})
	if err != nil {
		return err
	}
	i.staged += len(i.batch)
	i.batch = nil
	i.told()
	return nil
}

// finish adds what was staged and the last batch: from here on the site has it.
func (i *siteImport) finish(ctx context.Context, id string) (Result, error) {
	p := i.p
	p.mu.Lock()
	defer p.unlock()
	for _, su := range i.batch {
		p.w.cache.parsed[digestOf(su.Body)] = su.Inventory
	}
	result, err := p.submit(ctx, id, book.ImportSite{Header: i.header, HeaderBody: i.encoded, Staged: i.staged, SUs: i.batch})
	if err != nil {
		for _, su := range i.batch {
			delete(p.w.cache.parsed, digestOf(su.Body))
		}
		return Result{}, err
	}
	p.seen.grow(p.w.state)
	return result, nil
}
