package run

import (
	"context"
	"sync"
)

// positions is how far what readers see has come, for who waits for it.
type positions struct {
	mu    sync.Mutex
	at    uint64
	moved chan struct{} // closed when at has moved; nil: nobody waits
}

// reach notes that readers see the state after entry seq from now on.
func (p *positions) reach(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq <= p.at {
		return
	}
	p.at = seq
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

// now is the position, and what is closed when it has moved.
func (p *positions) now() (at uint64, moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved == nil {
		p.moved = make(chan struct{})
	}
	return p.at, p.moved
}

// Position is the ledger position of a state that every reader sees by now, or one
// behind it. It waits for nobody.
func (p *Plane) Position() uint64 {
	at, _ := p.position.now()
	return at
}

// Wait returns when readers see the state after entry seq, or with the context's
// error.
func (p *Plane) Wait(ctx context.Context, seq uint64) error {
	for {
		at, moved := p.position.now()
		if at >= seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}
