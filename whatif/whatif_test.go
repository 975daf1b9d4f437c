package whatif_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/ledger/memory"
	"bulkhead/meter"
	"bulkhead/place/dated"
	"bulkhead/run"
	"bulkhead/site"
	"bulkhead/whatif"
	"bulkhead/whatif/picture"
)

func example[T any](t testing.TB, path string, parse func(file string, data []byte) (T, error)) T {
	t.Helper()
	data, err := examples.Files.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parse(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

var begin = time.Date(2026, 4, 27, 0, 0, 0, 0, time.UTC)

// plane is a control plane in memory on an example site, with contracts signed.
func plane(t testing.TB, folder string, signed ...string) (*run.Plane, *run.VirtualClock) {
	t.Helper()
	ctx := context.Background()
	keys, err := keystore.InMemory(rand.Reader, begin)
	if err != nil {
		t.Fatal(err)
	}
	clock := run.NewVirtualClock(begin)
	p, err := run.Open(ctx, run.Config{Log: memory.New(), Signers: keys, Clock: clock, Writer: "test"})
	if err == nil {
		err = p.Import(ctx, example(t, folder+"/site.yaml", site.ParseTemplate), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"flagship", "tidewater", "research"} {
		if _, err := p.Submit(ctx, "", book.RegisterTenant{Tenant: tenant, Name: tenant}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range signed {
		if _, err := p.Quote(ctx, name, example(t, folder+"/"+name+".yaml", contract.Parse), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Submit(ctx, "", book.SignQuote{Quote: name, By: "test", Signed: contract.ByTenant("test")}); err != nil {
			t.Fatal(err)
		}
	}
	return p, clock
}

// show writes a picture where a person can look at it: BULKHEAD_PICTURES=DIR.
func show(t testing.TB, name string, sold *whatif.Sold) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := picture.SVG(&b, "What if "+sold.Contract+" were signed", "A fictional contract on a simulated site. Nothing was written.", sold.Before, sold.After); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("BULKHEAD_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, colour := range []bool{false, true} {
			picture.Lines(&text, sold.Before.Rows(), colour)
			picture.Lines(&text, sold.After.Rows(), colour)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestSellOnEverySize: the flagship fits on every example site beside the other
// contracts, though they were signed first: what has not begun makes room.
func TestSellOnEverySize(t *testing.T) {
	for _, folder := range []string{"tiny", "small", "colossus"} {
		if folder == "colossus" && testing.Short() {
			continue
		}
		p, _ := plane(t, folder, "tidewater", "research")
		s, now := p.Reading()
		seq := s.Seq
		c := example(t, folder+"/flagship.yaml", contract.Parse)
		sold, err := whatif.Sell(s, now, c, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if !whole(sold) || sold.LateChange != "" {
			t.Errorf("%s: the flagship does not fit: %+v", folder, sold.Tranches)
		}
		gpus := map[string]int64{}
		for _, tr := range sold.Tranches {
			for _, part := range tr.Parts {
				gpus[tr.ID] += part.GPUs
			}
		}
		for _, tr := range c.Tranches {
			if gpus[tr.ID] != tr.GPUs {
				t.Errorf("%s: tranche %s gets %d GPUs of %d", folder, tr.ID, gpus[tr.ID], tr.GPUs)
			}
		}
		checkPictures(t, s, sold)
		checkXML(t, show(t, folder, sold))
		p.View(func(b *book.State) {
			if b.Seq != seq || len(b.Leases) != len(s.Leases) || len(b.Quotes) != 0 {
				t.Error("asking has written something")
			}
		})
	}
}

// checkPictures counts the nodes of both pictures.
func checkPictures(t *testing.T, s *book.State, sold *whatif.Sold) {
	t.Helper()
	for _, p := range []*picture.Site{sold.Before, sold.After} {
		nodes := map[int]int{}
		total := 0
		for _, h := range p.Halls {
			for _, pod := range h.Pods {
				for _, su := range pod.SUs {
					sum := 0
					for _, share := range su.Shares {
						nodes[share.Lease] += share.Nodes
						sum += share.Nodes
					}
					if sum != su.Nodes {
						t.Fatalf("%s: the shares of %s add up to %d of %d nodes", p.Caption, su.ID, sum, su.Nodes)
					}
					total += sum
				}
			}
		}
		if total != s.Site.Nodes() {
			t.Errorf("%s: %d nodes are drawn of %d", p.Caption, total, s.Site.Nodes())
		}
		for i, h := range p.Leases {
			if nodes[i] != h.Nodes {
				t.Errorf("%s: %d nodes of %s are drawn, it holds %d", p.Caption, nodes[i], h.ID, h.Nodes)
			}
		}
		for _, row := range p.Rows() {
			if row.Cells == "" || len(picture.Paint(row.Cells, true)) <= len(row.Cells) || picture.Paint(row.Cells, false) != row.Cells {
				t.Errorf("%s: row %+v", p.Caption, row)
			}
		}
	}
}

func checkXML(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	units := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the SVG is not well formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
			units++
		}
	}
	if units == 0 {
		t.Fatal("no unit has a tooltip")
	}
}

// TestSlipInMoney checks a slip against sums made by hand from the contract's
// words: 857,000 a month for 240 GPUs, some of them late, 50 % on top after a grace
// of 14 days; months and days are those of Los Angeles.
func TestSlipInMoney(t *testing.T) {
	p, _ := plane(t, "tiny", "flagship")
	s, now := p.Reading()
	slipped, err := whatif.Slip(s, now, "hall-d", 45)
	if err != nil {
		t.Fatal(err)
	}
	if len(slipped.Contracts) != 1 {
		t.Fatalf("%+v", slipped)
	}
	c := slipped.Contracts[0]
	l, _ := s.LeaseByID("flagship/t3")
	slots := 0
	for _, n := range l.Slots {
		if s.Site.Halls[s.Site.HallOf(n)].ID == "hall-d" {
			slots++
		}
	}
	share := 857000.0 * float64(slots) * 8 / 240
	late := 6 + 17.0/24 // days of August until the hall is there: midnight UTC
	want := -(share + share*late/31) - 0.5*(share*17/31+share*late/31)
	var got float64
	if _, err := fmt.Sscan(slipped.Losses[0].Change, &got); err != nil || math.Abs(got-want) > 0.02 || slipped.Losses[0].Currency != "USD" {
		t.Errorf("the slip costs %s, by hand %.2f", slipped.Losses[0].Change, want)
	}
	if len(c.Rights) != 2 || c.Rights[0].Remedy != "terminate" || c.Rights[0].Already || !c.Rights[0].When.Equal(time.Date(2026, 7, 31, 7, 0, 0, 0, time.UTC)) {
		t.Errorf("rights: %+v", c.Rights)
	}
	// A slip that ends before the right begins gives none, and one before the
	// delivery date costs nothing.
	if slipped, err = whatif.Slip(s, now, "hall-d", 36); err != nil || len(slipped.Contracts[0].Rights) != 0 {
		t.Errorf("36 days: %+v, %v", slipped.Contracts, err)
	}
	if slipped, err = whatif.Slip(s, now, "hall-d", 7); err != nil || len(slipped.Contracts) != 0 || len(slipped.Losses) != 0 {
		t.Errorf("7 days: %+v, %v", slipped, err)
	}
}

// TestSlipIsWhatTheMeterBills moves the hall for real and lets the meter bill
// what happened: the difference is what was foretold.
func TestSlipIsWhatTheMeterBills(t *testing.T) {
	p, _ := plane(t, "small", "flagship", "tidewater", "research")
	s, now := p.Reading()
	for _, hall := range []string{"hall-e", "hall-g", "hall-i", "hall-j"} {
		slipped, err := whatif.Slip(s, now, hall, 60)
		if err != nil {
			t.Fatal(err)
		}
		moved, _ := p.Reading()
		h, _ := moved.Site.HallByID(hall)
		is := moved.Site.Halls[h].InService.AddDate(0, 0, 60)
		for _, c := range slipped.Contracts {
			k := s.Contracts[c.Contract]
			var total big.Rat
			for month := time.Month(5); month <= 12; month++ {
				period, err := meter.Month(k.Current().TimeZone, 2026, month)
				if err != nil {
					t.Fatal(err)
				}
				for i, late := range []bool{false, true} {
					var events []meter.Event
					for _, l := range s.LeasesOfContract(c.Contract) {
						for slot, n := range l.Slots {
							at := s.Site.InService(n)
							if late && s.Site.HallOf(n) == h {
								at = is
							}
							if at.Before(l.Begin) {
								at = l.Begin
							}
							events = append(events, meter.Event{Entry: 1, Lease: string(l.ID), Tranche: l.Tranche, Slots: fmt.Sprint(slot), At: at, State: meter.Up, Cause: "delivered"})
						}
					}
					invoice, err := meter.Rate(k.Versions, events, period, "n")
					if err != nil {
						t.Fatal(err)
					}
					sum, _ := new(big.Rat).SetString(invoice.Total)
					if i == 0 {
						sum.Neg(sum)
					}
					total.Add(&total, sum)
				}
			}
			if got := total.FloatString(2); got != c.Change {
				t.Errorf("%s, %s: foretold %s, billed %s", hall, c.Contract, c.Change, got)
			}
		}
		if len(slipped.Contracts) == 0 {
			t.Errorf("%s: nobody notices", hall)
		}
	}
}

// TestEarliestIsWhatAQuoteTakes: a quote of the size is taken on the date that
// Earliest gives, with the shape that it gives, and not the day before.
func TestEarliestIsWhatAQuoteTakes(t *testing.T) {
	p, _ := plane(t, "small", "flagship", "tidewater", "research")
	s, now := p.Reading()
	dates, err := whatif.Earliest(s, now, dated.Query{Fabric: "roce", Kind: "H200", Links: "shared", Sizes: []int{1, 4, 9, 40, 50}, From: now, Length: 200 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dates {
		if d.Begin.IsZero() {
			if d.Why == nil {
				t.Errorf("%d nodes: never, and nothing stands in the way", d.Nodes)
			}
			continue
		}
		schedule, err := s.Schedule(now)
		if err != nil {
			t.Fatal(err)
		}
		ask := dated.Ask{Fabric: "roce", Kind: "H200", Links: "shared", End: d.End, Steps: []dated.Step{{ID: "x", Nodes: d.Nodes, Begin: d.Begin}}}
		if plan, err := schedule.Plan(ask); err != nil || plan.Final().Certificate.Cost != d.Shape {
			t.Errorf("%d nodes on %s: %v", d.Nodes, d.Begin, err)
		}
		ask.Steps[0].Begin, ask.End = d.Begin.Add(-time.Second), d.End.Add(-time.Second)
		if _, err := schedule.Plan(ask); err == nil && d.Begin.After(now) {
			t.Errorf("%d nodes can be had before %s", d.Nodes, d.Begin)
		}
	}
}

// BenchmarkSlipFull asks what a slip of the last hall costs when 350,000 GPUs
// and others are signed on 50,000 nodes. The budget is a second.
func BenchmarkSlipFull(b *testing.B) {
	p, _ := plane(b, "colossus", "flagship", "tidewater", "research")
	var took time.Duration
	for b.Loop() {
		began := time.Now()
		s, now := p.Reading()
		slipped, err := whatif.Slip(s, now, "hall-l", 45)
		if err != nil || len(slipped.Contracts) == 0 {
			b.Fatal(err, slipped)
		}
		took = max(took, time.Since(began))
	}
	b.ReportMetric(float64(took.Microseconds())/1000, "ms/slowest")
	b.ReportMetric(1000, "ms/budget")
}

// BenchmarkSellFull asks what the site would look like with 350,000 GPUs more,
// with both pictures as SVG.
func BenchmarkSellFull(b *testing.B) {
	p, _ := plane(b, "colossus", "tidewater", "research")
	c := example(b, "colossus/flagship.yaml", contract.Parse)
	for b.Loop() {
		s, now := p.Reading()
		sold, err := whatif.Sell(s, now, c, time.Time{})
		if err != nil {
			b.Fatal(err)
		}
		if err := picture.SVG(io.Discard, "t", "s", sold.Before, sold.After); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEarliestFull asks for seven sizes beside the example contracts.
func BenchmarkEarliestFull(b *testing.B) {
	p, _ := plane(b, "colossus", "flagship", "tidewater", "research")
	for b.Loop() {
		s, now := p.Reading()
		if _, err := whatif.Earliest(s, now, dated.Query{Fabric: "roce", Kind: "H200", Links: "shared", Sizes: []int{8, 64, 256, 512, 700, 1024, 30_000}, From: now, Length: 365 * 24 * time.Hour}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadingFull copies what planning reads of the full site with all
// contracts signed, which is all that a question holds the lock for.
func BenchmarkReadingFull(b *testing.B) {
	p, _ := plane(b, "colossus", "flagship", "tidewater", "research")
	for b.Loop() {
		p.Reading()
	}
}

// BenchmarkScheduleFull makes the schedule of that state.
func BenchmarkScheduleFull(b *testing.B) {
	p, _ := plane(b, "colossus", "flagship", "tidewater", "research")
	s, now := p.Reading()
	for b.Loop() {
		if _, err := s.Schedule(now); err != nil {
			b.Fatal(err)
		}
	}
}

// whole reports whether everything could be delivered on its date.
func whole(s *whatif.Sold) bool {
	return !slices.ContainsFunc(s.Tranches, func(t whatif.SoldTranche) bool { return t.Refused != "" || len(t.Parts) != 1 || t.Parts[0].Late })
}
