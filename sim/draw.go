package sim

import (
	"math"
	"time"
)

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, 2014): every bit of
// the input moves every bit of the output.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// drawer is a stream of draws.
type drawer struct{ state uint64 }

func (d *drawer) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return mix(d.state)
}

// share is uniform in [0, 1).
func (d *drawer) share() float64 { return float64(d.next()>>11) / (1 << 53) }

// below is uniform in 0 to n-1.
func (d *drawer) below(n int) int { return int(d.share() * float64(n)) }

// between is uniform between two factors of a duration, in whole seconds and
// never less than one.
func (d *drawer) between(low, high float64, of time.Duration) time.Duration {
	t := time.Duration((low + d.share()*(high-low)) * float64(of)).Truncate(time.Second)
	return max(t, time.Second)
}

// wait is exponential with a mean in days.
func (d *drawer) wait(days float64) time.Duration {
	t := -math.Log(1-d.share()) * days * float64(24*time.Hour)
	return time.Duration(min(t, float64(100*365*24*time.Hour)))
}

// purposes keep draws about the same node apart.
const (
	drawStep uint64 = iota + 1
	drawWipe
	drawBurnIn
	drawPoison
)

// draw returns the draws about one thing: they do not depend on any other.
func (s *Sim) draw(purpose, a, b uint64) drawer {
	return drawer{mix(mix(mix(s.config.Seed^purpose<<56)^a) ^ b)}
}
