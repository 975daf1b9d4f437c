package run

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/ledger/memory"
	"bulkhead/site"
)

func emptyPlane(t *testing.T) (*Plane, *memory.Log) {
	t.Helper()
	log := memory.New()
	return openOn(t, log), log
}

func openOn(t *testing.T, log *memory.Log) *Plane {
	t.Helper()
	p, err := Open(context.Background(), Config{Log: log, Clock: NewVirtualClock(time.Date(2026, 4, 27, 0, 0, 0, 0, time.UTC)), Writer: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// grown is the tiny site with a hall more, of as many pods of 8 SUs.
func grown(t *testing.T, pods int) *site.Template {
	t.Helper()
	text, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if pods > 0 {
		var hall strings.Builder
		hall.WriteString("  - id: hall-e\n    phase: p3\n    pods:\n")
		for i := range pods {
			fmt.Fprintf(&hall, "      - {id: e%d, fabric: roce, kind: H200, nodes: 64, sus: 8}\n", i)
		}
		text = bytes.Replace(text, []byte("\ntotals: {gpus: 512, nodes: 64, sus: 8, pods: 5, halls: 4}\n"),
			fmt.Appendf([]byte(hall.String()), "\ntotals: {gpus: %d, nodes: %d, sus: %d, pods: %d, halls: 5}\n", 512+512*pods, 64+64*pods, 8+8*pods, 5+pods), 1)
	}
	template, err := site.ParseTemplate("tiny", text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func tidewater(t *testing.T) *contract.Contract {
	t.Helper()
	text, err := examples.Files.ReadFile("tiny/tidewater.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Parse("tidewater.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestQuotesWhileTheSiteGrows searches for quotes all through an import of
// several batches. The race detector watches: go test -race.
func TestQuotesWhileTheSiteGrows(t *testing.T) {
	ctx := context.Background()
	p, _ := emptyPlane(t)
	if err := p.Import(ctx, grown(t, 0), nil); err != nil {
		t.Fatal(err)
	}
	c := tidewater(t)
	over := make(chan struct{})
	var searches sync.WaitGroup
	quotes := 0
	searches.Go(func() {
		for {
			o, err := p.propose(Offer{Quote: "q", Contract: c})
			if err != nil || len(o.Slices) != 1 {
				t.Errorf("a quote during an import: %d slices, %v", len(o.Slices), err)
				return
			}
			quotes++
			select {
			case <-over:
				return
			default:
			}
		}
	})
	smaller := grown(t, 0)
	searches.Go(func() { // what an import would change is compared on a snapshot too
		for {
			var was *site.Site
			p.View(func(s *book.State) { was = s.Site.Snapshot() })
			change, err := site.Diff(was, smaller.Header(), smaller)
			if err != nil || change.Retire.Len() != was.Nodes()-64 {
				t.Errorf("a diff during an import: %d nodes of %d would retire, %v", change.Retire.Len(), was.Nodes(), err)
				return
			}
			select {
			case <-over:
				return
			default:
			}
		}
	})
	err := p.Import(ctx, grown(t, 20), nil)
	close(over)
	searches.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d searches during the import", quotes)
	if _, err := p.Submit(ctx, "", book.RegisterTenant{Tenant: c.Tenant, Name: c.Tenant}); err != nil {
		t.Fatal(err)
	}
	first, err := p.Quote(ctx, "q", c, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Its capacity is held now; the same request again gets it all the same.
	if again, err := p.Quote(ctx, "q", c, 0); err != nil || again != first {
		t.Errorf("the same quote again: %v, %v", again, err)
	}
}

// TestASearchSeesTheSiteAsItWas takes a snapshot, grows and changes the site, and
// compares.
func TestASearchSeesTheSiteAsItWas(t *testing.T) {
	ctx := context.Background()
	p, _ := emptyPlane(t)
	if err := p.Import(ctx, grown(t, 0), nil); err != nil {
		t.Fatal(err)
	}
	var was *site.Site
	p.View(func(s *book.State) { was = s.Site.Snapshot() })
	hall, _ := was.HallByID("hall-d")
	date, nodes, ports := was.Halls[hall].InService, was.Nodes(), was.EdgePorts()
	if err := p.Import(ctx, grown(t, 5), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Submit(ctx, "", book.RescheduleHall{Hall: "hall-d", InService: date.AddDate(0, 1, 0), Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if !was.Halls[hall].InService.Equal(date) || was.Nodes() != nodes || was.EdgePorts() != ports {
		t.Errorf("the snapshot has changed: %s, %d nodes, %d ports", was.Halls[hall].InService, was.Nodes(), was.EdgePorts())
	}
	if _, known := was.SUByID("e0-su1"); known || len(was.Halls) != 4 {
		t.Error("the snapshot knows what came later")
	}
	p.View(func(s *book.State) {
		if s.Site.Nodes() != nodes+5*64 || !s.Site.Halls[hall].InService.After(date) {
			t.Error("the site has not changed")
		}
	})
}

// TestAnImportIsDoneOnce gives one id to an import twice, then to another
// template, and again after a restart.
func TestAnImportIsDoneOnce(t *testing.T) {
	ctx := context.Background()
	p, log := emptyPlane(t)
	id, other := CommandID("someone/import", []byte("one")), CommandID("someone/import", []byte("two"))
	first, err := p.ImportAs(ctx, id, grown(t, 9), nil)
	if err != nil || first.Repeated || first.Nothing {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, p := range []*Plane{p, openOn(t, log)} {
		again, err := p.ImportAs(ctx, id, grown(t, 9), nil)
		if err != nil || !again.Repeated || again.Entry != first.Entry {
			t.Errorf("again: %+v, %v; first %+v", again, err, first)
		}
		if _, err := p.ImportAs(ctx, other, grown(t, 12), nil); err == nil || !strings.Contains(err.Error(), "command_id") {
			t.Errorf("another template under the same id: %v", err)
		}
	}
	nothing, err := p.ImportAs(ctx, CommandID("someone/again", nil), grown(t, 9), nil)
	if err != nil || !nothing.Nothing {
		t.Errorf("the same site under a new id: %+v, %v", nothing, err)
	}
}

// TestAnInterruptedImportGoesOn ends an import after its first batch: it is not
// done, and the same request carries it to its end.
func TestAnInterruptedImportGoesOn(t *testing.T) {
	p, _ := emptyPlane(t)
	id := CommandID("someone/import", nil)
	ctx, stop := context.WithCancel(context.Background())
	if _, err := p.ImportAs(ctx, id, grown(t, 20), func(nodes, of int) {
		if nodes < of {
			stop()
		}
	}); err == nil {
		t.Fatal("it was not interrupted")
	}
	r, err := p.ImportAs(context.Background(), id, grown(t, 20), nil)
	if err != nil || r.Repeated || r.Nothing {
		t.Errorf("%+v, %v", r, err)
	}
	p.View(func(s *book.State) {
		if want := 64 + 20*64; s.Site.Nodes() != want {
			t.Errorf("%d nodes, expected %d", s.Site.Nodes(), want)
		}
	})
}
