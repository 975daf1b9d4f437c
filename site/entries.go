package site

import (
	"time"

	"bulkhead/claim"
)

// The entry kinds that the site owns. All of them are in the site's scope: no
// tenant sees what else exists.
const (
	KindImported    = "site.imported/1"
	KindStaged      = "site.staged/1"
	KindRescheduled = "site.rescheduled/1"
)

// Imported records the header and the scalable units of one import, in the
// order in which dense indexes were assigned.
//
// Of a file with many scalable units most have been staged before: then those come
// first, in the order in which they were. So a site grows by a whole file at once.
type Imported struct {
	Header claim.Digest `json:"header"`
	Staged int          `json:"staged,omitempty"` // scalable units that were staged before
	SUs    []ImportedSU `json:"sus"`
}

// Staged records a part of an import that more follows of. Nothing of it exists
// until an Imported of the same header takes it over.
type Staged struct {
	Header claim.Digest `json:"header"`
	Begin  bool         `json:"begin,omitempty"` // what was staged before is forgotten
	SUs    []ImportedSU `json:"sus"`
}

// ImportedSU names the explicit inventory of one scalable unit.
type ImportedSU struct {
	SU        string       `json:"su"`
	Inventory claim.Digest `json:"inventory"`
	Nodes     int          `json:"nodes"`
}

// Rescheduled moves the in-service date of a hall.
type Rescheduled struct {
	Hall      string    `json:"hall"`
	Was       time.Time `json:"was"`
	InService time.Time `json:"in_service"`
	Reason    string    `json:"reason"`
}
