package lease

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

func day(n int) time.Time { return epoch.AddDate(0, 0, n) }

// instants is a site's capacity day by day, the slow and obvious way.
type instants struct {
	supply   []Supply
	bookings map[string]Booking
}

func (m *instants) free(fabric, kind string, at time.Time, but string) int {
	free := 0
	for _, s := range m.supply {
		if s.Fabric == fabric && s.Kind == kind && !s.From.After(at) {
			free += s.Nodes
		}
	}
	for id, b := range m.bookings {
		if id != but && b.Fabric == fabric && b.Kind == kind && b.Nodes > 0 && !b.Begin.After(at) && at.Before(b.End) {
			free -= b.Nodes
		}
	}
	return free
}

// worst returns the first day of [begin, end) on which the least is free.
func (m *instants) worst(b Booking) (int, time.Time) {
	least, when := 1<<30, b.Begin
	for at := b.Begin; at.Before(b.End); at = at.AddDate(0, 0, 1) {
		if free := m.free(b.Fabric, b.Kind, at, b.ID); free < least {
			least, when = free, at
		}
	}
	return least, when
}

func drawBooking(t *rapid.T, label string) Booking {
	begin := rapid.IntRange(0, 20).Draw(t, label+" begin")
	return Booking{
		ID:     fmt.Sprintf("b%d", rapid.IntRange(0, 6).Draw(t, label+" id")),
		Fabric: rapid.SampledFrom([]string{"roce", "ib"}).Draw(t, label+" fabric"),
		Kind:   rapid.SampledFrom([]string{"H100", "H200"}).Draw(t, label+" kind"),
		Nodes:  rapid.IntRange(0, 12).Draw(t, label+" nodes"),
		Begin:  day(begin), End: day(begin + rapid.IntRange(0, 10).Draw(t, label+" days")),
	}
}

func TestCalendarAgainstEveryDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &instants{bookings: map[string]Booking{}}
		for range rapid.IntRange(0, 4).Draw(t, "supplies") {
			m.supply = append(m.supply, Supply{
				Fabric: rapid.SampledFrom([]string{"roce", "ib"}).Draw(t, "fabric"),
				Kind:   rapid.SampledFrom([]string{"H100", "H200"}).Draw(t, "kind"),
				Nodes:  rapid.IntRange(-3, 20).Draw(t, "nodes"), From: day(rapid.IntRange(0, 15).Draw(t, "from")),
			})
		}
		c := NewCalendar(m.supply, nil)
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			b := drawBooking(t, "step")
			if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				_, had := m.bookings[b.ID]
				if c.Remove(b.ID) != had {
					t.Fatalf("Remove(%s) reports %v", b.ID, !had)
				}
				delete(m.bookings, b.ID)
				continue
			}
			c.Add(b)
			if delete(m.bookings, b.ID); b.Nodes > 0 && b.Begin.Before(b.End) {
				m.bookings[b.ID] = b
			}
		}
		ask := drawBooking(t, "ask")
		err := c.Fits(ask)
		if ask.Nodes < 1 || !ask.Begin.Before(ask.End) {
			if err == nil {
				t.Fatalf("Fits accepts %+v", ask)
			}
			return
		}
		least, when := m.worst(ask)
		var short *ShortfallError
		switch {
		case least >= ask.Nodes:
			if err != nil {
				t.Fatalf("%d free, %d asked: %v", least, ask.Nodes, err)
			}
		case !errors.As(err, &short):
			t.Fatalf("%d free, %d asked: %v", least, ask.Nodes, err)
		default:
			want := ShortfallError{At: when, Fabric: ask.Fabric, Kind: ask.Kind, Want: ask.Nodes, Have: least, Short: ask.Nodes - least}
			if *short != want {
				t.Fatalf("got %+v, want %+v", *short, want)
			}
		}
		checkSegments(t, c, m)
	})
}

func checkSegments(t *rapid.T, c *Calendar, m *instants) {
	var last Segment
	for _, s := range c.Segments() {
		sameClass := s.Fabric == last.Fabric && s.Kind == last.Kind
		if sameClass && !s.From.Equal(last.To) || !sameClass && (!s.From.IsZero() || !last.To.IsZero()) {
			t.Fatalf("segment %+v follows %+v", s, last)
		}
		if sameClass && s.Supply == last.Supply && s.Booked == last.Booked {
			t.Fatalf("segments %+v and %+v are one", last, s)
		}
		last = s
		for at := s.From; !s.From.IsZero() && at.Before(day(40)) && (s.To.IsZero() || at.Before(s.To)); at = at.AddDate(0, 0, 1) {
			if want := m.free(s.Fabric, s.Kind, at, ""); s.Free() != want {
				t.Fatalf("%+v has %d free at %s, want %d", s, s.Free(), at, want)
			}
		}
	}
}

func TestShortfallNamesWhatASalespersonRepeats(t *testing.T) {
	c := NewCalendar([]Supply{{"roce", "H100", 100, epoch}, {"roce", "H100", 50, day(30)}},
		[]Booking{{"research/t1", "roce", "H100", 40, day(10), day(60)}})
	err := c.Fits(Booking{"flagship/t1", "roce", "H100", 90, day(5), day(90)})
	want := "90 nodes of H100 on fabric roce do not fit: at 2026-04-11T00:00:00Z only 60 can be promised, 30 too few; ask for 60, for a later begin, or for another kind or fabric"
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if err := c.Fits(Booking{"flagship/t1", "roce", "H100", 60, day(5), day(90)}); err != nil {
		t.Fatalf("what the refusal offers is refused: %v", err)
	}
	if err := c.Fits(Booking{"x", "", "H100", 1, day(1), day(2)}); err == nil {
		t.Fatal("a booking of no fabric fits")
	}
}

func TestLeaseOverlaps(t *testing.T) {
	good := Lease{ID: "c/t", Begin: day(0), End: day(1)}
	if !good.Overlaps(day(0), day(1)) || good.Overlaps(day(1), day(2)) || good.Overlaps(day(0), day(0)) {
		t.Error("a lease holds its slots from Begin until End, which it does not include")
	}
}

func BenchmarkFits(b *testing.B) {
	c := NewCalendar([]Supply{{"roce", "H100", 50_000, epoch}}, nil)
	for i := range 1000 {
		c.Add(Booking{fmt.Sprint(i), "roce", "H100", i % 40, day(i % 300), day(i%300 + i%50 + 1)})
	}
	for b.Loop() {
		_ = c.Fits(Booking{"ask", "roce", "H100", 1000, day(10), day(900)})
	}
}

// TestReplacingABookingThatAnotherFollows covers a booking whose end is no
// event, because one of the same size begins just then.
func TestReplacingABookingThatAnotherFollows(t *testing.T) {
	supply := []Supply{{"roce", "H100", 10, epoch}}
	own := Booking{"own", "roce", "H100", 6, day(10), day(20)}
	for _, other := range []Booking{{"next", "roce", "H100", 6, day(20), day(30)}, {"before", "roce", "H100", 6, day(0), day(10)}} {
		c := NewCalendar(supply, []Booking{own, other})
		longer := own
		longer.Nodes, longer.Begin, longer.End = 9, day(5), day(25)
		var short *ShortfallError
		at := day(20)
		if other.ID == "before" {
			at = day(5)
		}
		if err := c.Fits(longer); !errors.As(err, &short) || short.Have != 4 || !short.At.Equal(at) {
			t.Errorf("%s: %v, expected 4 from %s on", other.ID, err, at)
		}
		longer.Begin, longer.End = own.Begin, own.End
		if err := c.Fits(longer); err != nil {
			t.Errorf("%s: %v, expected 10 nodes while only the booking itself holds any", other.ID, err)
		}
	}
}
