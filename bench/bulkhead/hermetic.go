package bulkhead

import (
	"errors"
	"time"

	"bulkhead/bench/evaluate"
	"bulkhead/bench/sites"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// Hermetic is a site on which every lease has its links alone.
type Hermetic struct {
	site      *site.Site
	occupancy *place.Occupancy
	slices    map[int32]place.Slice

	// Took is what each decision took, refusals too; Checked what checking those
	// that were found took.
	Took, Checked []time.Duration
}

// NewHermetic returns an empty site with that many spares an SU.
func NewHermetic(t *sites.Tree, spares int) (*Hermetic, error) {
	b, err := WithSpares(t, spares)
	if err != nil {
		return nil, err
	}
	return &Hermetic{site: b.Site, occupancy: place.NewOccupancy(b.Site), slices: map[int32]place.Slice{}}, nil
}

// Spares is how many nodes are spares.
func (h *Hermetic) Spares() int { return h.site.Spares().Len() }

// Refusal is why nothing was given: the condition that stands in the way (0: too
// few nodes are free), and whether the search was ended before it was through.
type Refusal struct {
	Condition int
	Cut       bool
}

// Place gives a tenant nodes and links, or says why not.
func (h *Hermetic) Place(tenant int32, nodes int) (slice []int32, links []evaluate.Link, why Refusal, err error) {
	begin := time.Now()
	found, err := solve.Try(h.occupancy, place.Ask{Nodes: nodes, Fabric: Fabric, Kind: Kind, Links: lease.Hermetic})
	solved := time.Now()
	h.Took = append(h.Took, solved.Sub(begin))
	var few *place.NoFitError
	var none *place.NoSliceError
	switch {
	case errors.As(err, &few):
		return nil, nil, Refusal{}, nil
	case errors.As(err, &none):
		return nil, nil, Refusal{none.Condition, none.Cut}, nil
	case err != nil:
		return nil, nil, Refusal{}, err
	}
	if err := check.On(h.occupancy, found); err != nil {
		return nil, nil, Refusal{}, err
	}
	h.Checked = append(h.Checked, time.Since(solved))
	if err := h.occupancy.Commit(found); err != nil {
		return nil, nil, Refusal{}, err
	}
	h.slices[tenant] = found
	for _, n := range found.Nodes {
		slice = append(slice, int32(n))
	}
	return slice, h.links(found), Refusal{}, nil
}

// Return takes back what a tenant has.
func (h *Hermetic) Return(tenant int32) error {
	err := h.occupancy.Release(h.slices[tenant])
	delete(h.slices, tenant)
	return err
}

// links writes out the link assignment of a certificate, link by link.
func (h *Hermetic) links(slice place.Slice) []evaluate.Link {
	set := slice.Certificate.Links
	if set == nil {
		return nil
	}
	var sus, pods []int
	seenSU, seenPod := map[int]bool{}, map[int]bool{}
	for _, n := range slice.Nodes {
		if su := h.site.SUOf(n); !seenSU[su] {
			seenSU[su] = true
			sus = append(sus, su)
			if pod := h.site.SUs[su].Pod; !seenPod[pod] {
				seenPod[pod] = true
				pods = append(pods, pod)
			}
		}
	}
	var out []evaluate.Link
	for _, plane := range set.Planes {
		for rail := range site.Rails {
			if !plane.Rails.Has(rail) {
				continue
			}
			for _, su := range sus {
				spines := plane.Spines
				if h.site.SUs[su].ID == set.RestSU {
					spines = plane.Rest
				}
				for spine := range h.site.Shape.Spines {
					if spines.Has(spine) {
						out = append(out, evaluate.Link{Up: true, At: int32(su), Rail: int8(rail), Spine: int16(spine)})
					}
				}
			}
			for _, group := range plane.Cores {
				for _, pod := range pods {
					cores := group.Cores
					if h.site.Pods[pod].ID == set.RestPod {
						cores = group.Rest
					}
					for spine := range h.site.Shape.Spines {
						for core := range h.site.Shape.CoreLinks() {
							if group.Spines.Has(spine) && cores.Has(core) {
								out = append(out, evaluate.Link{At: int32(pod), Rail: int8(rail), Spine: int16(spine), Core: int16(core)})
							}
						}
					}
				}
			}
		}
	}
	return out
}
