package run

import (
	"context"
	"fmt"
	"io"
	"iter"

	"bulkhead/book"
	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/ledger"
)

// WriteBundle writes what a tenant takes home: its whole scope log as it is now
// under a checkpoint signed for it, with the bodies that it names.
func (p *Plane) WriteBundle(ctx context.Context, tenant string, w io.Writer) (bundle.Manifest, error) {
	var name string
	known := false
	p.View(func(s *book.State) {
		_, known = s.Tenants[tenant]
		if s.Site != nil {
			name = s.Site.Name
		}
	})
	if !known {
		return bundle.Manifest{}, &book.Refusal{Field: "tenant", Reason: fmt.Sprintf("no tenant %q is registered", tenant)}
	}
	scope := book.TenantScope(tenant)
	checkpoint, size, err := p.checkpoint(scope)
	if err != nil {
		return bundle.Manifest{}, err
	}
	signer, err := p.config.Signers.Statement(claim.PurposeStatement)
	if err != nil {
		return bundle.Manifest{}, err
	}
	return bundle.Write(w, bundle.Input{
		Site: name, Tenant: tenant, Entries: p.scopeEntries(ctx, scope, 1, size),
		Body:       func(d claim.Digest) ([]byte, error) { return p.w.log.Body(ctx, d) },
		Checkpoint: checkpoint, Signer: signer,
	})
}

// scopeEntries yields the entries of a scope from a number on that are among its
// first size.
func (p *Plane) scopeEntries(ctx context.Context, scope string, from, size uint64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		if from > size {
			return
		}
		for e, err := range p.w.log.ReadScope(ctx, scope, from) {
			if err != nil {
				yield(e, err)
				return
			}
			if !yield(e, nil) || e.ScopeSeq == size {
				return
			}
		}
	}
}
