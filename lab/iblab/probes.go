package iblab

import (
	"fmt"

	"bulkhead/book"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

// HCAs lists the adapters of a tenant's delivered nodes on one rail.
func (l *Lab) HCAs(tenant string, nic int) (names []string) {
	l.Plane.View(func(s *book.State) {
		for _, lease := range s.LeasesOf(tenant) {
			for slot, n := range lease.Slots {
				if s.SlotUp(lease, slot) {
					names = append(names, ibnet.HCAName(s.Site.NodeID[n], nic))
				}
			}
		}
	})
	return names
}

// Key is a tenant's P_Key, as a full member.
func (l *Lab) Key(tenant string) (key mad.PKey) {
	l.Plane.View(func(s *book.State) {
		for _, lease := range s.LeasesOf(tenant) {
			if label, has := s.Labels[FabricID].ValueOf(book.ProjectOwner(tenant, lease.Project)); has {
				key = mad.PKey(label.Value) | mad.FullMember
			}
		}
	})
	return key
}

// Leaks sends packets between the rivals, both ways, on every rail: under each
// one's P_Key, the default one as a limited member, and a key that nobody has,
// from hosts that are hostile and use any key they like. Full membership of the
// default partition is not tried: that a limited member does not send as a full
// one rests on the firmware of its adapter, and certificates say so. It returns
// what was delivered.
func (l *Lab) Leaks() (leaks []string) {
	a, b := Rivals[0], Rivals[1]
	keys := []mad.PKey{l.Key(a), l.Key(b), l.Key(a) &^ mad.FullMember, l.Key(b) &^ mad.FullMember, 0x7fff, 0x8123}
	for nic := range site.Rails {
		as, bs := l.HCAs(a, nic), l.HCAs(b, nic)
		for _, from := range as {
			for _, to := range bs {
				for _, k := range keys {
					for _, way := range [][2]string{{from, to}, {to, from}} {
						if l.Fabric.Probe(way[0], way[1], k, true).Delivered {
							leaks = append(leaks, fmt.Sprintf("%s -> %s under %s", way[0], way[1], k))
						}
					}
				}
			}
		}
	}
	return leaks
}

// CutOff sends packets within each rival's slice: the positive control. It
// returns the pairs that do not reach one another.
func (l *Lab) CutOff() (cut []string) {
	for _, tenant := range Rivals {
		for nic := range site.Rails {
			hcas := l.HCAs(tenant, nic)
			for i := 1; i < len(hcas); i++ {
				if d := l.Fabric.Probe(hcas[0], hcas[i], l.Key(tenant), false); !d.Delivered {
					cut = append(cut, fmt.Sprintf("%s -> %s: %s: %s", hcas[0], hcas[i], d.Where, d.Why))
				}
			}
		}
	}
	return cut
}
