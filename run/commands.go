package run

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
)

// CommandID is the id of a command as the ledger records it: what the client
// called it, and a digest of what it said, so that the id can't come again with
// another meaning. content is the request in one encoding of the caller's.
func CommandID(name string, content []byte) string {
	digest := claim.DigestOf(content)
	return name + "#" + strings.TrimPrefix(digest.String(), "sha256:")[:contentDigits]
}

// contentDigits is how many hexadecimal digits of the digest are kept: 128 bits.
const contentDigits = 32

var contentEnd = regexp.MustCompile(`#[0-9a-f]{32}$`)

// clientName is the part of an id that the client chose. An id without a digest
// is a name as a whole.
func clientName(id string) string {
	if at := contentEnd.FindStringIndex(id); at != nil {
		return id[:at[0]]
	}
	return id
}

// commandNames finds the id under which a name was carried out. It follows from
// the ledger alone.
func commandNames(s *book.State) map[string]string {
	names := make(map[string]string, len(s.Commands))
	for id := range s.Commands {
		names[clientName(id)] = id
	}
	return names
}

// UsedIDError says that a command id was used before, with another content.
type UsedIDError struct{}

func (*UsedIDError) Error() string {
	return "command_id: this id was used for another request: choose a new one"
}

// Done says whether a command was carried out before, as Submit would.
func (p *Plane) Done(id string) (Result, bool, error) { return p.view.done(id) }

// Carried is a command that was carried out.
type Carried struct {
	Entry  uint64            // the last that it wrote
	Time   time.Time         // of that entry
	Scoped map[string]uint64 // by scope: the last that it wrote there
}

// Find looks for a command by the name that its client gave it, whatever it said.
// What is not found was not carried out, or would have changed nothing; it may still
// be on its way.
func (p *Plane) Find(ctx context.Context, name string) (c Carried, found bool, err error) {
	p.view.mu.RLock()
	id, used := p.view.names[name]
	if used {
		c.Entry, found = p.view.state.Commands[id]
	}
	p.view.mu.RUnlock()
	if !found {
		return Carried{}, false, nil
	}
	c.Scoped = map[string]uint64{}
	for e, err := range p.w.log.Read(ctx, c.Entry) {
		if err != nil {
			return c, true, err
		}
		// Entries of tenants do not always name the command that they came of: they follow
		// one that does, and are of the same instant.
		if e.Command != id && (e.Command != "" || e.Scope == book.SiteScope || !e.Time.Equal(c.Time)) {
			break
		}
		c.Entry, c.Time = e.Seq, e.Time // the state has the first of its entries
		c.Scoped[e.Scope] = e.ScopeSeq
	}
	if c.Time.IsZero() {
		return c, true, fmt.Errorf("the ledger has no entry %d of this command", c.Entry)
	}
	return c, true, nil
}

// submit carries out a command, if its id was not before. It needs the plane's lock,
// under which readers see all that was decided.
func (p *Plane) submit(ctx context.Context, id string, c book.Command) (Result, error) {
	r, did, err := p.view.done(id)
	if err != nil || did {
		return r, err
	}
	return p.decide(ctx, id, c)
}
