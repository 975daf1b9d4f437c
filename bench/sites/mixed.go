package sites

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Mixed is what is leased over 36 months of a site that is as large as it will be:
// of ten leases seven are of 1 to 8 nodes, two of up to 512 and one of up to a
// quarter of the site (12,500 of 50,000 nodes: 100,000 GPUs), each log-uniformly;
// for a month to eighteen, every length as likely. Each begins on the day on which
// it is asked for. The load, in nodes, is about three quarters of the site once the
// first leases end.
func Mixed(nodes int, seed uint64) []Booking {
	r := rand.New(rand.NewPCG(seed, 37))
	largest := max(1024, nodes/4)
	size := func() int {
		switch n := r.IntN(10); {
		case n < 7:
			return LogUniform(r, 1, 9)
		case n < 9:
			return LogUniform(r, 8, 512)
		default:
			return LogUniform(r, 512, largest)
		}
	}
	mean := 0.7*logMean(1, 9) + 0.2*logMean(8, 512) + 0.1*logMean(512, float64(largest))
	const meanDays = 30 + 17*30/2
	perDay := 0.75 * float64(nodes) / (mean * meanDays)
	var all []Booking
	day := 0.0
	for i := 1; ; i++ {
		day += -math.Log(1-r.Float64()) / perDay
		nodes, length := size(), 30+r.IntN(17*30)
		if int(day) >= Days {
			return all
		}
		all = append(all, Booking{ID: fmt.Sprintf("lease-%d", i), Asked: int(day), Steps: []Step{{int(day), nodes}}, End: int(day) + length, Gone: int(day) + length})
	}
}

// logMean is the mean of what LogUniform draws from.
func logMean(low, high float64) float64 { return (high - low) / math.Log(high/low) }
