package book_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/lab/story"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/lineage"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// tellGolden tells the story of 64 nodes, with what it leaves out of its own, so
// that it has entries of every kind. The devices are simulated.
func tellGolden(t *testing.T) *golden {
	t.Helper()
	ctx := context.Background()
	cast, err := story.LoadParts("tiny")
	must(t, err)
	// It is kept for ever: what the ledger says of looks is said every six hours.
	text, err := examples.Files.ReadFile("tiny/site.yaml")
	must(t, err)
	cast.Site, err = site.ParseTemplate("site.yaml", append(text, "  record-looks: 6h\n"...))
	must(t, err)
	log := memory.New()
	random := rand.NewChaCha8([32]byte{1})
	keys, err := keystore.InMemory(random, story.Begin)
	must(t, err)
	world, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(1, story.Begin))
	must(t, err)
	clock := run.NewVirtualClock(story.Begin)
	plane, err := run.Open(ctx, run.Config{
		Log: log, Signers: keys, Clock: clock, Salt: random, Writer: "golden",
		Devices: run.Devices{Fabrics: world.Fabrics(), Nodes: world.Nodes(), Storage: world.Storage()},
	})
	must(t, err)
	telling := story.New(cast, plane, world, clock, nil)
	telling.Scenes = append([]story.Scene{telling.Scenes[0], {At: story.Begin, Name: "somebody was here before", Play: func(ctx context.Context, t *story.Telling) error {
		second := book.Actor{Subject: "approver on duty", Role: "approver"}
		for i, c := range []book.Command{
			book.Adopt{By: "operator on duty", Found: "a label of somebody else"},
			book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-1", Ports: 16}, {Label: 5001, Nodes: "2", Ports: 8}}},
			book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-1", Ports: 16}}},
			book.Manage{By: second, Reason: "read back for a week"},
			book.TakeOver{Fabric: "roce", Label: 5000, By: second, Reason: "its tenant has left"},
		} {
			if _, err := t.Plane.Submit(ctx, "before "+fmt.Sprint(i), c); err != nil {
				return err
			}
		}
		return nil
	}}}, telling.Scenes[1:]...)
	telling.Scenes = append(telling.Scenes[:4:4], append([]story.Scene{{At: story.Begin, Name: "a quote that nobody signs", Play: func(ctx context.Context, t *story.Telling) error {
		unsigned := *t.Parts.Tidewater
		unsigned.ID = "tidewater-more"
		_, err := t.Plane.Quote(ctx, "unsigned", &unsigned, 30*time.Minute)
		return err
	}}}, telling.Scenes[4:]...)...)
	telling.Scenes = append(telling.Scenes[:5:5], append([]story.Scene{{At: story.Begin, Name: "a quote for which others make room", Play: func(ctx context.Context, t *story.Telling) error {
		c := forRoom(t.Parts.Tidewater)
		_, err := t.Plane.Quote(ctx, "room", c, 30*time.Minute)
		return err
	}}}, telling.Scenes[5:]...)...)
	telling.Scenes = append(telling.Scenes[:3:3], append([]story.Scene{{At: story.Begin, Name: "a tenant asks by itself", Play: func(ctx context.Context, t *story.Telling) error {
		officer := contract.Signature{Party: contract.Tenant, By: "officer, administrator"}
		for _, gpus := range []int64{8, 16} { // the second replaces the first
			own := sold("tidewater", func(c *contract.Contract) { c.ID, c.Tranches[0].GPUs = "tidewater-own", gpus })
			if _, err := t.Plane.Offer(ctx, run.Offer{Quote: "own", Contract: own, By: officer}); err != nil {
				return err
			}
		}
		_, err := t.Plane.Submit(ctx, "", book.WithdrawQuote{Tenant: "tidewater", Quote: "own", By: officer})
		return err
	}}}, telling.Scenes[3:]...)...)
	must(t, telling.Run(ctx))

	person := "operator on duty"
	cordoned := ""
	plane.View(func(s *book.State) { cordoned = s.Site.NodeID[0] })
	for i, c := range []book.Command{
		book.Cordon{Node: cordoned, Reason: "a noisy fan", By: person},
		book.PauseLoop{Hall: "hall-a", By: person, Reason: "work on the power"},
		book.Cordon{Node: cordoned, Lift: true, Reason: "a new fan", By: person},
		book.ResumeLoop{Hall: "hall-a", By: person, Reason: "done"},
		book.RecordPosture{Fabric: "ib", Posture: fabric.Posture{Items: []fabric.PostureItem{{Name: "M_Key", OK: true}, {Name: "partitions.conf", Evidence: "another file"}, {Name: "traps", Lacking: true}}}},
		book.PauseLoop{By: person, Reason: "the end is near"},
		book.Adopt{By: person, Found: "everything"},
		book.Manage{By: book.Actor{Subject: "approver on duty", Role: "approver"}, Reason: "what was found is what is wanted"},
	} {
		_, err := plane.Submit(ctx, "golden "+fmt.Sprint(i), c)
		must(t, err)
	}

	g := &golden{bodies: map[claim.Digest][]byte{}}
	for e, err := range log.Read(ctx, 1) {
		must(t, err)
		g.entries = append(g.entries, e)
	}
	// Kinds that need a person with a key, or a disaster, are written as they are.
	g.append(t, book.SiteScope, ledger.KindRecovered, ledger.Recovered{
		PublishedSize: uint64(len(g.entries)) + 1, HeadSize: uint64(len(g.entries)), By: person, Reason: "a disk was lost",
	})
	g.append(t, book.SiteScope, book.KindExplained, book.Explained{Quarantined: "3"})
	end := g.entries[len(g.entries)-1].Time
	g.append(t, book.SiteScope, book.KindClockDoubted, book.ClockNoted{Machine: end.AddDate(2, 0, 0), Why: "the machine's clock shows two years more"})
	g.append(t, book.SiteScope, book.KindClockSettled, book.ClockNoted{Machine: end})
	g.append(t, book.SiteScope, book.KindClockDoubted, book.ClockNoted{Machine: end.Add(30 * time.Hour), Why: "the machine's clock shows a day more"})
	g.append(t, book.SiteScope, book.KindClockConfirmed, book.ClockConfirmed{Machine: end.Add(30 * time.Hour), Site: end, Said: end.Add(30 * time.Hour), By: "approver on duty", Reason: "the host was off"})
	g.append(t, book.SiteScope, ledger.KindSetAside, ledger.SetAside{
		Size: uint64(len(g.entries)) + 2, HeadSize: uint64(len(g.entries)), First: end.AddDate(70, 0, 0), Last: end.AddDate(70, 0, 0), Until: end,
		Term: 3, File: "ledger.set-aside-1000.db", By: person, Reason: "the time server said 2096",
	})
	g.append(t, book.SiteScope, book.KindExplained, book.Explained{Quarantined: "4"})
	g.append(t, book.TenantScope("flagship"), ledger.KindTakenOff, ledger.TakenOff{Entries: 2, HeadSize: 100, First: end.AddDate(70, 0, 0), Last: end.AddDate(70, 0, 0), Reason: "the time server said 2096"})
	g.append(t, book.SiteScope, ledger.KindTakenOver, ledger.TakenOver{Epoch: 2, Lineage: "0a", HeadSize: uint64(len(g.entries)), By: person, Reason: "a host was lost"})
	g.append(t, book.SiteScope, book.KindWriter, book.Began{Term: 1 << 20, Writer: "the copy", Lineage: lineage.Lineage{Epoch: 2, ID: "0a"}, Run: "1e"})
	g.append(t, book.SiteScope, book.KindExplained, book.Explained{})
	g.append(t, book.TenantScope("flagship"), prove.KindProbed, prove.Probed{Lease: "flagship/t1", Node: cordoned, KeyID: "0123456789abcdef", Tries: 3, Leaks: 1})

	// So are those that need a site where nothing fits, or a lease that is spread.
	var was, to site.Index
	plane.View(func(s *book.State) {
		l, _ := s.LeaseByID("flagship/t1")
		was = l.Slots[0]
		for n := range s.Nodes.By[node.Ready].All() {
			to = n
		}
	})
	number := uint64(1)
	for i := range g.entries {
		if g.entries[i].Scope == book.TenantScope("flagship") {
			number++
		}
	}
	g.append(t, book.TenantScope("flagship"), lease.KindDefragProposed, lease.DefragProposed{
		Lease: "flagship/t1", Proposal: number, Slots: "0", Was: site.FormatOrder([]site.Index{was}), Nodes: site.FormatOrder([]site.Index{to}),
		Before: "2/2/2/4", After: "1/1/1/3", Reason: "closer together", By: person,
	})
	g.append(t, book.TenantScope("flagship"), lease.KindDefragConsented, lease.DefragConsented{Lease: "flagship/t1", Proposal: number, By: "officer"})
	g.append(t, book.TenantScope("flagship"), lease.KindDefragAccepted, lease.DefragAccepted{Lease: "flagship/t1", Proposal: number, By: "approver on duty"})
	g.append(t, book.TenantScope("flagship"), lease.KindDefragEnded, lease.DefragEnded{Lease: "flagship/t1", Proposal: number, Left: 1, Reason: "withdrawn", By: "officer"})
	g.append(t, book.TenantScope("flagship"), lease.KindUnserved, lease.Unserved{Lease: "flagship/t1", Slots: "0", Reason: "no node of H100 in fabric roce is ready and free"})

	// And those about a node that falls silent, dies, and comes back in time.
	var id string
	var slots lease.Slots
	silent := g.entries[len(g.entries)-1].Time
	plane.View(func(s *book.State) {
		l, _ := s.LeaseByID("flagship/t1")
		id = s.Site.NodeID[was]
		slots = lease.Slots{Lease: l.ID, Tranche: l.Tranche, Slots: "0", State: "unknown", Cause: "silent", Since: silent}
	})
	g.append(t, book.SiteScope, node.KindSilent, node.Silent{Node: id, Index: uint32(was), Since: silent, Class: "part-swap", Detail: "its BMC does not answer"})
	g.append(t, book.TenantScope("flagship"), lease.KindSlots, slots)
	g.append(t, book.SiteScope, node.KindDead, node.Dead{Node: id, Index: uint32(was), Since: silent})
	var other string
	plane.View(func(s *book.State) { other = s.Site.NodeID[to] })
	g.append(t, book.TenantScope("flagship"), lease.KindProposed, lease.Proposed{Lease: "flagship/t1", Was: id, Node: other, Distance: "same SU", Reason: "part-swap", Deadline: silent.Add(30 * time.Minute), By: person})
	g.append(t, book.TenantScope("flagship"), lease.KindWithdrawn, lease.Withdrawn{Lease: "flagship/t1", Was: id, Node: other, Reason: "it is wanted elsewhere", By: person})
	g.tellKeys(t)
	g.tellActs(t, plane)
	// So is an import that was interrupted: this site fits into one command.
	var header claim.Digest
	for d, data := range g.bodies {
		if _, err := site.DecodeHeader(data); err == nil {
			header = d
		}
	}
	g.append(t, book.SiteScope, site.KindStaged, site.Staged{Header: header, Begin: true, SUs: []site.ImportedSU{{SU: "e1-su01", Inventory: header, Nodes: 8}}})

	for _, e := range g.entries {
		if e.Kind != site.KindImported {
			continue
		}
		var b site.Imported
		must(t, json.Unmarshal(e.Body, &b))
		digests := []claim.Digest{b.Header}
		for _, su := range b.SUs {
			digests = append(digests, su.Inventory)
		}
		for _, d := range digests {
			g.bodies[d], err = log.Body(ctx, d)
			must(t, err)
		}
	}
	return g
}

// append writes an entry behind the others.
func (g *golden) append(t *testing.T, scope, kind string, body any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	must(t, err)
	last := g.entries[len(g.entries)-1]
	e := ledger.Entry{Seq: last.Seq + 1, Time: last.Time, Term: last.Term, Kind: kind, Scope: scope, ScopeSeq: 1, Body: encoded}
	for i := range g.entries {
		if g.entries[i].Scope == scope {
			e.ScopeSeq++
		}
	}
	g.entries = append(g.entries, e)
}

// forRoom is a contract for which a lease that has not begun is placed again: it
// wants what is free now of a hall that others were promised for later.
func forRoom(like *contract.Contract) *contract.Contract {
	c := like.Clone()
	c.ID = "tidewater-room"
	t := &c.Tranches[0]
	t.Kind, t.Fabric, t.GPUs, t.Delivery = "H200", "roce", 2*site.GPUs, time.Date(2026, 5, 27, 7, 0, 0, 0, time.UTC)
	return c
}
