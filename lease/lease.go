// Package lease is who holds what, and when: leases with their slots, and the
// calendar that says what can still be promised. It knows no money and no
// switches.
//
// A lease promises a number of slots of one GPU kind on one fabric for one
// interval of time. A slot is a promised node position: when its node is
// replaced, the slot stays, and so does its rank.
package lease

import (
	"encoding/json"
	"time"

	"bulkhead/site"
)

// ID names a lease for ever: "contract/tranche".
type ID string

// Links says whether other tenants' traffic may cross the links of a slice.
type Links string

const (
	Shared   Links = "shared"   // links carry other tenants' traffic too
	Hermetic Links = "hermetic" // no link is shared with another tenant
)

// Valid reports whether l is one of the two classes of links.
func (l Links) Valid() bool { return l == Shared || l == Hermetic }

// Lease is one part of a tranche: slots on one fabric, of one GPU kind, from
// Begin until End, which it does not include.
type Lease struct {
	ID       ID
	Tenant   string
	Contract string
	Tranche  string
	Project  string
	Fabric   string
	Kind     string
	Links    Links
	Begin    time.Time
	End      time.Time

	// Assigned is the link assignment of a hermetic slice: place.DecodeLinks reads it.
	Assigned json.RawMessage `json:"Held,omitempty"`

	// Slots[i] is the node that is in slot i now. Slot order is rank order at
	// placement; a replacement changes the node and keeps the slot.
	Slots []site.Index
}

// Overlaps reports whether the lease holds its slots at any instant of
// [begin, end).
func (l *Lease) Overlaps(begin, end time.Time) bool {
	return l.Begin.Before(l.End) && begin.Before(end) && l.Begin.Before(end) && begin.Before(l.End)
}

// Nodes returns the set of nodes that are in the slots now.
func (l *Lease) Nodes() *site.Set { return site.SetOf(l.Slots...) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
