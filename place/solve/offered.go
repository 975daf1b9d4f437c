package solve

import (
	"bulkhead/place"
	"bulkhead/site"
)

// others counts the nodes of an SU that are in no hermetic slice at any time:
// spares and dead ones, free ones, those of leases with shared links, and those of
// which it was not said who holds them. Who takes just these may hold the last
// uplinks.
func others(o *place.Occupancy, su int) int {
	n := 0
	for _, at := range o.Site().SUs[su].Nodes {
		if !o.Hermetic.Has(at) || o.Shared.Has(at) || o.Unsaid.Has(at) {
			n++
		}
	}
	return n
}

// uplinks returns the uplinks of a leaf that a slice may hold; closed says that
// hermetic slices have with it every node of the SU.
func uplinks(o *place.Occupancy, su, rail int, closed bool) place.Mask {
	n := o.Site().Shape.Spines
	if !closed {
		n-- // the last one stays common
	}
	at := su*site.Rails + rail
	return place.MaskBelow(n).Minus(o.AssignedUp[at].Or(o.FailedUp[at]))
}

// coreLinks returns the core links of a spine that a slice may hold.
func coreLinks(o *place.Occupancy, pod, rail, spine int, closed bool) place.Mask {
	n := o.Site().Shape.CoreLinks()
	if !closed {
		n-- // the last one stays common
	}
	at := o.SpineAt(pod, rail, spine)
	return place.MaskBelow(n).Minus(o.AssignedCore[at].Or(o.FailedCore[at]))
}
