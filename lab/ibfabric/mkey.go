package ibfabric

import (
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// leaseClock is the M_Key lease of a port: it starts at the first wrong key, is
// stopped by a right one, and opens the port when it has run out (14.2.4.2).
type leaseClock struct {
	ends time.Time // zero: it does not run
}

// allows says whether a request passes a port's M_Key. A wrong key is counted,
// and starts the lease.
func (f *Fabric) allows(p *port, m mad.Method, key uint64) (ok bool, noticed bool) {
	g := p.manages()
	f.expire(g)
	if g.info.MKey == 0 || g.info.MKey == key {
		g.lease.ends = time.Time{}
		return true, false
	}
	if m == mad.Get && g.info.MKeyProtect < mad.MKeyGetProtected {
		return true, false // the key itself is hidden: see hides
	}
	if g.info.MKeyViolations < 0xffff {
		g.info.MKeyViolations++
	}
	if g.info.MKeyLeasePeriod > 0 && g.lease.ends.IsZero() {
		g.lease.ends = f.now().Add(time.Duration(g.info.MKeyLeasePeriod) * time.Second)
	}
	return false, true
}

// expire opens a port whose lease has run out: the protection falls to 0, so that
// a new manager can take it over. Level 3 stays.
func (f *Fabric) expire(g *port) {
	if g.lease.ends.IsZero() || f.now().Before(g.lease.ends) || g.info.MKeyProtect == mad.MKeyGetForever {
		return
	}
	g.lease.ends = time.Time{}
	g.info.MKeyProtect = mad.MKeyGetOpen
}

// hides says whether a port's M_Key reads as 0 for somebody with another key.
func hides(p *port, key uint64) bool {
	g := p.manages()
	return g.info.MKeyProtect != mad.MKeyGetOpen && g.info.MKey != key
}
