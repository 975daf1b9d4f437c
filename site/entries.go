package site

import (
	"time"

	"bulkhead/claim"
)

// The entry kinds that the site owns. All of them are in the site's scope: no
// tenant sees what else exists.
const (
	KindImported    = "site.imported/1"
	KindRescheduled = "site.rescheduled/1"
)

// Imported records the header and the scalable units of one import, in the
// order in which dense indexes were assigned.
type Imported struct {
	Header claim.Digest `json:"header"`
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
