package run

import (
	"context"
	"regexp"
	"strings"

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

// submit carries out a command, unless whoever gave it has gone: then nobody could be
// told what came of it but by asking for its id. It needs the plane's lock, under which
// readers see all that was decided.
func (p *Plane) submit(ctx context.Context, id string, c book.Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	r, did, err := p.view.done(id)
	if err != nil || did {
		return r, err
	}
	return p.decide(ctx, id, c)
}
