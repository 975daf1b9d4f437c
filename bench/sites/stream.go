package sites

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Booking is an ask with dates, in days from the beginning of the calendar.
type Booking struct {
	ID    string `json:"id"`
	Asked int    `json:"asked"` // when it is asked for, and has to be answered
	Steps []Step `json:"steps"` // a ramp: what each step adds
	End   int    `json:"end"`
	Gone  int    `json:"gone"` // when it is really returned; End when on time
}

// Step is what a ramp adds on a day.
type Step struct {
	Day   int `json:"day"`
	Nodes int `json:"nodes"`
}

// Nodes is the final size.
func (b *Booking) Nodes() int {
	sum := 0
	for _, s := range b.Steps {
		sum += s.Nodes
	}
	return sum
}

// NodeDays is what it asks for in all.
func (b *Booking) NodeDays() int {
	sum := 0
	for _, s := range b.Steps {
		sum += s.Nodes * (b.End - s.Day)
	}
	return sum
}

// Days is the length of the calendar: 36 months of 30 days.
const Days = 36 * 30

// Calendar is what is asked over 36 months of a site of 50,000 nodes that grows:
// halls 1 and 2 are there, 3 comes after 45 days, 4 after 105.
//
// Two contracts of the size that press reports tell of are signed on the first
// day: 220,000 GPUs with two ramp months, and 110,000 GPUs from the fifth month
// on with a ramp of two steps. How their ramps divide is assumed. Beside them
// comes a stream of smaller ones: 64 to 2,000 nodes log-uniformly, a month to 18,
// wanted at once or up to half a year ahead, one in six returned halfway. Its
// load is about 1.2 times what the two leave.
func Calendar(seed uint64) []Booking {
	r := rand.New(rand.NewPCG(seed, 36))
	all := []Booking{
		{ID: "large-1", Steps: []Step{{0, 9_000}, {30, 9_000}, {60, 9_500}}, End: Days, Gone: Days},
		{ID: "large-2", Steps: []Step{{120, 6_875}, {150, 6_875}}, End: Days, Gone: Days},
	}
	const perDay = 0.077
	day := 0.0
	for i := 1; ; i++ {
		day += -math.Log(1-r.Float64()) / perDay
		b := Booking{ID: fmt.Sprintf("small-%d", i), Asked: int(day)}
		begin := b.Asked
		if r.IntN(2) == 0 {
			begin += r.IntN(180)
		}
		nodes := LogUniform(r, 64, 2000)
		length := 30 + r.IntN(17*30)
		early := r.IntN(6) == 0
		if b.Asked >= Days {
			break
		}
		b.End = min(begin+length, Days)
		if begin >= Days-30 {
			continue
		}
		b.Steps = []Step{{begin, nodes}}
		b.Gone = b.End
		if early {
			b.Gone = begin + (b.End-begin)/2
		}
		all = append(all, b)
	}
	return all
}

// HallDays is from which day each hall of the calendar's site is in service.
var HallDays = []int{0, 0, 45, 105}

// EncodeBookings writes bookings as JSON.
func EncodeBookings(bookings []Booking) []byte {
	data, err := json.MarshalIndent(bookings, "", " ")
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}

// DecodeBookings reads what EncodeBookings wrote.
func DecodeBookings(data []byte) ([]Booking, error) {
	var all []Booking
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("bookings: %w", err)
	}
	for i := range all {
		b := &all[i]
		if b.ID == "" || len(b.Steps) == 0 || !slices.IsSortedFunc(b.Steps, func(a, b Step) int { return a.Day - b.Day }) ||
			b.Asked > b.Steps[0].Day || b.End <= b.Steps[len(b.Steps)-1].Day || b.Gone > b.End {
			return nil, fmt.Errorf("bookings: entry %d: %+v, expected an id and days in order", i+1, *b)
		}
	}
	return all, nil
}
