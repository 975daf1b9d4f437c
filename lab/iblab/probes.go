package iblab

import (
	"fmt"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

// HCAs lists the adapters of a tenant's delivered nodes on one rail.
func (l *Lab) HCAs(tenant string, nic int) (names []string) {
	for _, n := range l.Nodes(tenant) {
		names = append(names, ibnet.HCAName(l.Site.NodeID[n], nic))
	}
	return names
}

// Key is a tenant's P_Key, as a full member.
func (l *Lab) Key(tenant string) mad.PKey {
	value := l.Label(tenant)
	if value == 0 {
		return 0 // it has none
	}
	return mad.PKey(value) | mad.FullMember
}

// Hosts are the adapters of both rivals' delivered nodes, by rail.
type Hosts [2][site.Rails][]string

// Hosts lists them as of now.
func (l *Lab) Hosts() (h Hosts) {
	for i, tenant := range Tenants {
		for nic := range site.Rails {
			h[i][nic] = l.HCAs(tenant, nic)
		}
	}
	return h
}

// Leaks sends packets between the rivals' delivered nodes: see LeaksAmong.
func (l *Lab) Leaks() (leaks []string) { return l.LeaksAmong(l.Hosts()) }

// LeaksAmong sends packets between the rivals, both ways, on every rail: under each
// one's P_Key, the default one as a limited member, and a key that nobody has,
// from hosts that are hostile and use any key they like. Full membership of the
// default partition is not tried: that a limited member does not send as a full
// one rests on the firmware of its adapter, and certificates say so. It returns
// what was delivered.
func (l *Lab) LeaksAmong(h Hosts) (leaks []string) {
	a, b := l.Key(Tenants[0]), l.Key(Tenants[1])
	keys := []mad.PKey{a, b, a &^ mad.FullMember, b &^ mad.FullMember, 0x7fff, 0x8123}
	for nic := range site.Rails {
		for _, from := range h[0][nic] {
			for _, to := range h[1][nic] {
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
	for _, tenant := range Tenants {
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

// CanaryReaches sends packets from the owner's canary host, which is in nobody's
// partition, to the adapters of both rivals, under their keys and keys that nobody has.
// It returns what arrives. The control, a packet to the manager's host as any limited
// member may send one, is an error if it does not.
func (l *Lab) CanaryReaches() (reached []string, err error) {
	if d := l.Fabric.Probe(ibnet.Canary, ibnet.Manager, 0x7fff, false); !d.Delivered {
		return nil, fmt.Errorf("the canary does not reach the manager: %s: %s", d.Where, d.Why)
	}
	for _, tenant := range Tenants {
		for nic := range site.Rails {
			for _, hca := range l.HCAs(tenant, nic) {
				for _, k := range []mad.PKey{l.Key(Tenants[0]), l.Key(Tenants[1]), 0x7fff, 0x8123} {
					if l.Fabric.Probe(ibnet.Canary, hca, k, true).Delivered {
						reached = append(reached, fmt.Sprintf("%s -> %s under %s", ibnet.Canary, hca, k))
					}
				}
			}
		}
	}
	return reached, nil
}
