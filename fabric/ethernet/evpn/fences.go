package evpn

import (
	"context"
	"errors"
	"maps"
	"sync"

	"bulkhead/fabric"
	"bulkhead/site"
)

// fences is the newest fence that this driver has written under, and the leaves that
// could not be shown it. An older writer must not find a leaf that was out of reach
// when the newer one began and still takes its word.
type fences struct {
	mu      sync.Mutex
	fence   fabric.Fence
	unshown map[site.Leaf]bool
}

func (f *fences) newest() fabric.Fence {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fence
}

// shown notes that leaves were shown a fence, but for those that did not answer.
func (f *fences) shown(fence fabric.Fence, leaves []site.Leaf, unreachable map[site.Leaf]error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fence = fence
	for _, l := range leaves {
		if unreachable[l] == nil {
			delete(f.unshown, l)
			continue
		}
		if f.unshown == nil {
			f.unshown = map[site.Leaf]bool{}
		}
		f.unshown[l] = true
	}
}

// missing is the leaves that were not shown the newest fence.
func (f *fences) missing() map[site.Leaf]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.unshown)
}

// show shows the newest fence to a leaf that answers again. A leaf that refuses it
// has seen a newer one, which is as good.
func (f *fences) show(ctx context.Context, l site.Leaf, leaf Device) error {
	fence := f.newest()
	if err := leaf.Admit(ctx, fence); err != nil && !errors.Is(err, fabric.ErrFenced) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fence.Writer() == fence.Writer() { // else a newer one was to be shown meanwhile
		delete(f.unshown, l)
	}
	return nil
}
