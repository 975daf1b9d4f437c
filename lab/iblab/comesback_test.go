//go:build labs

package iblab

import (
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// TestAProjectThatComesBack: a project gives a node back and leases again before its key has
// cooled down, so it gets the key back. Meanwhile an adapter of the old node, which people
// have given up, does not answer, and its leaf's port still has the key, as OpenSM leaves it:
// whoever has that node would be in the partition. No member is handed over until the
// port has lost the key.
func TestAProjectThatComesBack(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t)
	check(t, l.Sell(ctx))
	check(t, l.Deliver(ctx, 74*time.Hour))
	const tenant = "ochre"
	check(t, l.lend(ctx, tenant))
	check(t, l.liveUntil(ctx, 6*time.Hour, tenant+" has its node", func() bool { return len(l.HCAs(tenant, 0)) == 1 }))
	key, hca, node := l.Key(tenant), l.HCAs(tenant, 0)[0], l.first(tenant).Slots[0]
	check(t, l.Fabric.Silence(hca, true))
	check(t, l.liveUntil(ctx, 12*time.Hour, "the lease to end", func() bool { return !l.Clock.Now().Before(l.first(tenant).End) }))
	check(t, l.Live(ctx, time.Hour, time.Hour))
	_, err := l.Plane.Submit(ctx, "", book.Quarantine{Nodes: []site.Index{node}, Reason: []string{"an adapter does not answer"}})
	check(t, err)
	check(t, l.liveUntil(ctx, time.Hour, "the key to cool down", func() bool { return l.cooling(uint32(key.Key())) }))

	check(t, l.lendAgain(ctx, tenant, "ochre-again"))
	var second book.Lease
	l.Plane.View(func(s *book.State) { second = *s.LeasesOf(tenant)[1] })
	check(t, l.Live(ctx, second.Begin.Add(8*time.Hour).Sub(l.Clock.Now()), time.Hour))
	if got := l.Key(tenant); got != key {
		t.Fatalf("the project has %s, and had %s: this shows nothing", got, key)
	}
	if second.Slots[0] == node {
		t.Fatal("it got the node back that people have given up")
	}
	if got := l.HCAs(tenant, 0); len(got) > 0 {
		t.Errorf("%s was handed over while a port that is nobody's has the key", got)
	}
	check(t, l.Fabric.Silence(hca, false))
	check(t, l.liveUntil(ctx, time.Hour, "the node to be handed over when the port has lost the key", func() bool { return len(l.HCAs(tenant, 0)) == 1 }))
}
