package iblab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
	"bulkhead/site"
)

// keyReuse is the attack of a tenant that is gone: an adapter of its node does not
// answer any more, and still holds the P_Key. The node is given up by people, so that
// the lease ends; its leaf port is cleaned by hand, and the key's cool-down passes. Whoever gets the
// key next would let the adapter in. Mounting it is an error if the next tenant gets it.
func keyReuse(ctx context.Context, l *Lab) (undo func(context.Context) error, err error) {
	const gone, next = "ochre", "umber"
	if err := l.lend(ctx, gone); err != nil {
		return nil, err
	}
	if err := l.liveUntil(ctx, 6*time.Hour, gone+" has its node", func() bool { return len(l.HCAs(gone, 0)) == 1 }); err != nil {
		return nil, err
	}
	key, hca := l.Key(gone), l.HCAs(gone, 0)[0]
	node := l.first(gone).Slots[0]
	if hca != ibnet.HCAName(l.Site.NodeID[node], 0) {
		return nil, fmt.Errorf("%s is not of %s", hca, l.Site.NodeID[node])
	}
	if err := l.Fabric.Silence(hca, true); err != nil {
		return nil, err
	}
	if err := l.liveUntil(ctx, 12*time.Hour, "the lease of "+gone+" to end", func() bool { return !l.Clock.Now().Before(l.first(gone).End) }); err != nil {
		return nil, err
	}
	// Its node can't be wiped as long as that port does not follow: people give it up.
	if err := l.Live(ctx, time.Hour, time.Hour); err != nil {
		return nil, err
	}
	if _, err := l.Plane.Submit(ctx, "", book.Quarantine{Nodes: []site.Index{node}, Reason: []string{"an adapter does not answer"}}); err != nil {
		return nil, err
	}
	if err := l.liveUntil(ctx, time.Hour, "the key to cool down", func() bool { return l.cooling(uint32(key.Key())) }); err != nil {
		return nil, err
	}
	// OpenSM leaves the leaf's half of such a port as it was. People don't.
	port := site.PortOf(node, 0)
	leaf := l.Site.LeafID(l.Site.LeafOf(port))
	if err := l.Fabric.Tamper(leaf, l.Site.LeafPort(port), func(keys []mad.PKey) {
		clear(keys)
		keys[0] = mad.DefaultPKey &^ mad.FullMember
	}); err != nil {
		return nil, err
	}
	if err := l.Live(ctx, 2*l.Site.Policy.LabelCoolDown, 24*time.Hour); err != nil {
		return nil, err
	}
	held, err := l.Fabric.Keys(hca, 1)
	if err != nil || !slices.Contains(held, key) {
		return nil, fmt.Errorf("the adapter does not hold %s any more: %v, %v", key, held, err)
	}
	if err := l.lend(ctx, next); err != nil {
		return nil, err
	}
	if got := l.Key(next); got == key {
		return nil, fmt.Errorf("%s is given to %s, and an adapter that was %s's still holds it", key, next, gone)
	}
	return func(ctx context.Context) error {
		if err := l.Fabric.Silence(hca, false); err != nil {
			return err
		}
		// The control: read back clean, the key is free, and the lowest again.
		if err := l.liveUntil(ctx, time.Hour, "the key to be free", func() bool { return !l.cooling(uint32(key.Key())) }); err != nil {
			return err
		}
		return l.liveUntil(ctx, 6*time.Hour, next+" to give its node back", func() bool { return !l.first(next).Returned.IsZero() })
	}, nil
}

// cooling says whether a label was released and is not free yet.
func (l *Lab) cooling(value uint32) (cooling bool) {
	l.Plane.View(func(s *book.State) {
		_, cooling = s.Labels[FabricID].CoolUntil(value)
	})
	return cooling
}

// liveUntil lives in steps until something holds; OpenSM needs time of this machine
// for some of it.
func (l *Lab) liveUntil(ctx context.Context, step time.Duration, what string, holds func() bool) error {
	var bad error
	err := await.True(ctx, what, func() bool {
		if holds() {
			return true
		}
		bad = l.Live(ctx, step, step)
		return bad != nil
	})
	return errors.Join(bad, err)
}

// first is a copy of a tenant's first lease.
func (l *Lab) first(tenant string) (first book.Lease) {
	l.Plane.View(func(s *book.State) { first = *s.LeasesOf(tenant)[0] })
	return first
}

// lend sells one node to one more tenant for a day, from two days on.
func (l *Lab) lend(ctx context.Context, tenant string) error {
	if _, err := l.Plane.Submit(ctx, "register "+tenant, book.RegisterTenant{Tenant: tenant, Name: tenant}); err != nil {
		return err
	}
	return l.lendAgain(ctx, tenant, tenant)
}

// lendAgain sells it to a tenant that there is, by a contract of its own.
func (l *Lab) lendAgain(ctx context.Context, tenant, id string) error {
	example, err := examples.Files.ReadFile("rivals-ib/" + Tenants[1] + ".yaml")
	if err != nil {
		return err
	}
	const date, day = "2006-01-02", 24 * time.Hour
	begin := l.Clock.Now().Truncate(day).Add(2 * day)
	text := strings.NewReplacer("id: "+Tenants[1], "id: "+id, Tenants[1], tenant, "gpus: 48", "gpus: 8", "48 H100", "8 H100", "notice_days: 30", "notice_days: 0",
		"2026-05-01", begin.Format(date), "2027-05-01", begin.Add(day).Format(date)).Replace(string(example))
	c, err := contract.Parse(tenant+".yaml", []byte(text))
	if err != nil {
		return err
	}
	if _, err := l.Plane.Quote(ctx, id, c, 0); err != nil {
		return err
	}
	_, err = l.Plane.Submit(ctx, "sign "+id, book.SignQuote{Quote: id, By: "tenant administrator", Signed: contract.ByTenant("tenant administrator")})
	return err
}
