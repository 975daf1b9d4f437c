package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"sync"
	"time"
)

// Changes says whether a device may hold something else than before. The kernel's part
// is its own notices; what gives none is compared by digest.
type Changes struct {
	look  func(context.Context) (Digest, error)
	watch *watch // nil: the kernel's tables don't count

	mu           sync.Mutex
	number       uint64
	silentDigest Digest
}

// Digest is of what gives no notice when it changes.
type Digest = [sha256.Size]byte

// NewChanges makes one of what look finds, and of this network namespace's kernel tables
// where they count.
func NewChanges(look func(context.Context) (Digest, error), kernel bool) (c *Changes, err error) {
	c = &Changes{look: look, number: epoch()}
	if kernel {
		c.watch, err = newWatch()
	}
	return c, err
}

// Close gives back what it holds.
func (c *Changes) Close() {
	if c.watch != nil {
		c.watch.close()
	}
}

// epoch tells one run of an agent from another.
func epoch() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return binary.BigEndian.Uint64(b[:]) &^ (1<<32 - 1)
}

// Number returns a number that is another whenever a read may show something else than
// before, and another again after the agent's restart.
func (c *Changes) Number(ctx context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	heard, err := c.look(ctx)
	if err != nil {
		return 0, err
	}
	if heard != c.silentDigest {
		c.silentDigest = heard
		c.number++
	}
	return c.noticed()
}

// noticed counts what the kernel told of.
func (c *Changes) noticed() (uint64, error) {
	if c.watch == nil {
		return c.number, nil
	}
	changed, err := c.watch.changed()
	if changed {
		c.number++
	}
	return c.number, err
}

// How often Await looks for what gives no notice: at the number that others' calls
// brought forward, and at what only a look finds.
const (
	glance = 200 * time.Millisecond
	look   = 2 * time.Second
)

// Await returns nil when Number would return another than this one: at once for the
// kernel's tables, within two seconds for the rest.
func (c *Changes) Await(ctx context.Context, number uint64) error {
	for {
		n, err := c.Number(ctx)
		if err != nil || n != number {
			return err
		}
		for began := time.Now(); time.Since(began) < look; {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.wait()
			c.mu.Lock()
			n, err = c.noticed()
			c.mu.Unlock()
			if err != nil || n != number {
				return err
			}
		}
	}
}

func (c *Changes) wait() {
	if c.watch != nil {
		c.watch.wait(glance)
		return
	}
	time.Sleep(glance)
}

type awaitRequest struct {
	Changes uint64 `json:"changes"`
}

type changesAnswer struct {
	Changes uint64 `json:"changes"`
}

// Handle answers "changes" and "await".
func (c *Changes) Handle(mux *http.ServeMux) {
	Handle(mux, "changes", func(ctx context.Context, _ struct{}) (any, error) {
		n, err := c.Number(ctx)
		return changesAnswer{n}, err
	})
	Handle(mux, "await", func(ctx context.Context, q awaitRequest) (any, error) {
		return struct{}{}, c.Await(ctx, q.Changes)
	})
}
