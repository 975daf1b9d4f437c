package solve

import (
	"cmp"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// leaves lists what every pod has for a shape, those in the fewest racks first,
// and of these the tightest, so that larger ones stay whole. It reports false when
// there are too few of them.
func (p *portSearch) leaves(t *portShape) bool {
	spines := p.h.o.Site().Shape.Spines
	t.cheapest = 1 << 30
	count := 0
	for i := range p.pods {
		pod := &p.pods[i]
		pod.leaves = pod.leaves[:0]
		stock := &p.h.pods[pod.at]
		for j := range stock.sus {
			u := &stock.sus[j]
			if u.nodes < t.a {
				continue
			}
			l := portLeaf{u: u, racks: u.cover(t.a)}
			fits := true
			for g, rail := range p.rails {
				l.up[g] = u.uplinksFor(rail, t.a)
				fits = fits && l.up[g].Count() >= t.links
			}
			if !fits {
				p.condition = max(p.condition, balancedLeaves)
				continue
			}
			pod.leaves = append(pod.leaves, l)
			count++
			t.cheapest = min(t.cheapest, l.racks)
		}
	}
	p.tries += count
	if count < t.full {
		return false
	}
	// Positions that too few leaves have are of no use, and leaves that have too
	// few of those that are left neither.
	for g := range p.rails {
		t.useful[g] = place.MaskBelow(spines)
	}
	for again := true; again; {
		again = false
		for g := range p.rails {
			var have [place.MaskBits]int32
			var pods [place.MaskBits]int32
			for i := range p.pods {
				var any place.Mask
				for j := range p.pods[i].leaves {
					m := p.pods[i].leaves[j].up[g].And(t.useful[g])
					for spine := range m.All {
						have[spine]++
					}
					any = any.Or(m)
				}
				for spine := range any.All {
					pods[spine]++
				}
			}
			least := int32(t.pods)
			if t.small > 0 && t.pods > 1 {
				least--
			}
			for spine := range t.useful[g].All {
				if have[spine] < int32(t.full) || pods[spine] < least {
					t.useful[g] = t.useful[g].Minus(place.MaskOf(spine))
					again = true
				}
			}
			if t.useful[g].Count() < t.links {
				p.condition = max(p.condition, commonSpines)
				return false
			}
		}
		if !again {
			break
		}
		left := 0
		for i := range p.pods {
			pod := &p.pods[i]
			pod.leaves = slices.DeleteFunc(pod.leaves, func(l portLeaf) bool { return !p.joins(t, &l, &t.useful, nil) })
			left += len(pod.leaves)
		}
		p.tries += left
		if left < t.full {
			p.condition = max(p.condition, commonSpines)
			return false
		}
	}
	for i := range p.pods {
		leaves := p.pods[i].leaves
		slices.SortStableFunc(leaves, func(x, y portLeaf) int {
			c := cmp.Or(x.racks-y.racks, x.u.nodes-y.u.nodes)
			for g := range p.rails {
				c = cmp.Or(c, cmp.Compare(x.up[g][0], y.up[g][0]), cmp.Compare(x.up[g][1], y.up[g][1]))
			}
			return c
		})
		for j := range leaves {
			leaves[j].same = j > 0 && p.alike(&leaves[j], &leaves[j-1])
		}
	}
	return true
}

// alike says whether one leaf does whatever the other does, smaller or not.
func (p *portSearch) alike(a, b *portLeaf) bool {
	if a.up != b.up || a.u.nodes != b.u.nodes || a.u.closing != b.u.closing || a.u.last != b.u.last ||
		!slices.EqualFunc(a.u.racks, b.u.racks, func(x, y rackStock) bool { return x.nodes == y.nodes }) {
		return false
	}
	for _, rail := range p.rails {
		if a.u.up[rail] != b.u.up[rail] {
			return false
		}
	}
	return true
}

// joins says whether a leaf has enough of the positions that all must have.
func (p *portSearch) joins(t *portShape, l *portLeaf, masks, mine *[site.Rails]place.Mask) bool {
	for g := range p.rails {
		if masks[g].And(l.up[g]).Count() < t.links || mine != nil && mine[g].And(l.up[g]).Count() < t.linksSmall {
			return false
		}
	}
	return true
}
