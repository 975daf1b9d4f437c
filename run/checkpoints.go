package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
)

// allScopes is the tree over every entry, in the order of the ledger.
const allScopes = ""

func (p *Plane) root() claim.Digest {
	if tree := p.w.trees[allScopes]; tree != nil {
		return tree.Root()
	}
	return claim.Digest{}
}

// rootAt gives the root of the ledger's first entries, as a published
// checkpoint is compared with.
func (p *Plane) rootAt(ctx context.Context) func(size uint64) (claim.Digest, error) {
	return func(size uint64) (claim.Digest, error) {
		tree := ledger.NewTree()
		for e, err := range p.w.log.Read(ctx, 1) {
			if err != nil {
				return claim.Digest{}, err
			}
			if tree.Size() == size {
				break
			}
			tree.Append(ledger.LeafHash(ledger.Encode(&e)))
		}
		return tree.Root(), nil
	}
}

// Publish signs a checkpoint over the whole ledger and keeps it outside the
// store: from now on no store with less than this is accepted.
func (p *Plane) Publish(ctx context.Context) error {
	if p.ReadOnly() != nil {
		return nil // another writer's checkpoints count
	}
	tree := p.view.tree(allScopes) // of what is durable
	if p.config.Published == nil || p.config.Signers == nil || tree.Size() == 0 || p.Broken() != nil {
		return nil
	}
	note, err := p.config.Signers.Checkpoint(p.origin(book.SiteScope), tree.Size(), tree.Root())
	if err != nil {
		return err
	}
	if err := p.config.Published.Store(note); err != nil {
		return err
	}
	return p.config.Published.Remember(ctx, p.w.log, note)
}

// Checkpoint signs a checkpoint over one scope as it is now.
func (p *Plane) Checkpoint(scope string) ([]byte, error) {
	signed, _, err := p.checkpoint(scope)
	return signed, err
}

func (p *Plane) checkpoint(scope string) (signed []byte, size uint64, err error) {
	var down *SteppedDown
	if errors.As(p.ReadOnly(), &down) {
		return nil, 0, fmt.Errorf("no checkpoint is signed: what this ledger holds may be another history than the other writer's: %w", down)
	}
	tree := p.view.tree(scope)
	signed, err = p.config.Signers.Checkpoint(p.origin(scope), tree.Size(), tree.Root())
	return signed, tree.Size(), err
}

// origin is the checkpoint origin line of a scope's log.
func (p *Plane) origin(scope string) (origin string) {
	p.View(func(s *book.State) { origin = CheckpointOrigin(s, scope) })
	return origin
}

// CheckpointOrigin is the origin of checkpoints over a scope of a site's ledger.
func CheckpointOrigin(s *book.State, scope string) string {
	name := "unnamed"
	if s.Site != nil {
		name = s.Site.Name
	}
	return "bulkhead/" + name + "/" + scope
}

func sortedPurposes(ids map[string]string) []string {
	out := make([]string, 0, len(ids))
	for purpose := range ids {
		out = append(out, purpose)
	}
	slices.Sort(out)
	return out
}
