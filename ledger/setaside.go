package ledger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/claim"
)

// The kinds with which a ledger goes on whose end was dated in the future: a clock was
// wrong, and no entry could follow. One is in the site's scope, the other in the scope
// of each tenant whose log lost entries.
const (
	KindSetAside = "ledger.set_aside/1"
	KindTakenOff = "ledger.taken_off/1"
)

// SetAside says what was taken off a ledger's end and where it is kept. It is signed and
// never hidden: whoever holds a checkpoint over it sees that entries are gone.
type SetAside struct {
	Size      uint64       `json:"size"` // of the ledger as it was
	Root      claim.Digest `json:"root"`
	HeadSize  uint64       `json:"head_size"` // of what goes on
	HeadRoot  claim.Digest `json:"head_root"`
	First     time.Time    `json:"first"` // of the entries that were set aside
	Last      time.Time    `json:"last"`
	Until     time.Time    `json:"until"` // entries after it were
	Term      uint64       `json:"term"`  // the newest of them: devices have seen it
	File      string       `json:"file"`  // beside the ledger: all of it, as it was
	By        string       `json:"by"`
	Reason    string       `json:"reason"`
	Statement claim.Digest `json:"statement"` // signed, a body
}

// TakenOff says the same to one tenant, of its own log.
type TakenOff struct {
	Entries  uint64    `json:"entries"`   // that were taken off this log
	HeadSize uint64    `json:"head_size"` // of what is left of it
	First    time.Time `json:"first"`     // of those that were taken off
	Last     time.Time `json:"last"`
	Reason   string    `json:"reason"`
}

// Cut is where a ledger is cut so that nothing after a time is left in it.
type Cut struct {
	Keep, Size  uint64              // entries that are kept, and all of them
	Root        claim.Digest        // of the tree over those that are kept
	First, Last time.Time           // of those that are not
	Term        uint64              // the newest of all
	Scopes      map[string]ScopeCut // that lose entries
	Kept        map[string]uint64   // entries by scope
	tree        *Tree
}

// ScopeCut is what one scope keeps and loses.
type ScopeCut struct {
	Keep, Lost  uint64
	First, Last time.Time // of what it loses
}

// NewCut begins a cut. Follow is given every entry in order, and Cut says what it comes
// to.
func NewCut() *Cut {
	return &Cut{Scopes: map[string]ScopeCut{}, Kept: map[string]uint64{}, tree: NewTree()}
}

// Follow takes the next entry: those after until are not kept. Times never go back in a
// ledger, so what is not kept is its end.
func (c *Cut) Follow(e *Entry, until time.Time) {
	if !e.Time.After(until) && c.Size == c.Keep {
		c.Keep++
		c.Kept[e.Scope]++
	} else {
		if c.Size == c.Keep {
			c.First, c.Root = e.Time, c.tree.Root()
		}
		c.Last = e.Time
		s := c.Scopes[e.Scope]
		if s.Lost == 0 {
			s.Keep, s.First = c.Kept[e.Scope], e.Time
		}
		s.Lost++
		s.Last = e.Time
		c.Scopes[e.Scope] = s
	}
	c.Size++
	c.Term = max(c.Term, e.Term)
	c.tree.Append(LeafHash(Encode(e)))
}

// SetAside is the entry of a cut. It refuses a cut that takes nothing off or leaves
// nothing, and one without the name of who decides and the reason.
func (c *Cut) SetAside(until time.Time, file, by, reason string) (SetAside, error) {
	switch {
	case c.Size == c.Keep:
		return SetAside{}, fmt.Errorf("set aside: no entry is after %s: there is nothing to set aside", until.UTC().Format(time.RFC3339))
	case c.Keep == 0:
		return SetAside{}, fmt.Errorf("set aside: every entry is after %s: nothing would be left; move the folder away and begin with a new one", until.UTC().Format(time.RFC3339))
	case strings.TrimSpace(by) == "":
		return SetAside{}, errors.New("set aside: by: expected the name of who decides that these entries count for nothing")
	case strings.TrimSpace(reason) == "":
		return SetAside{}, errors.New("set aside: reason: expected what made the clock wrong")
	}
	return SetAside{
		Size: c.Size, Root: c.tree.Root(), HeadSize: c.Keep, HeadRoot: c.Root, First: c.First.UTC(), Last: c.Last.UTC(),
		Until: until.UTC(), Term: c.Term, File: file, By: by, Reason: reason,
	}, nil
}
