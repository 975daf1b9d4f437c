package place

import (
	"fmt"
	"math"
	"time"

	"bulkhead/site"
)

// PublishedRate is how often a GPU's node fails by a public report: 419 unexpected
// interruptions in 54 days on 16,384 GPUs, a GPU and day. Source: "The Llama 3 Herd
// of Models", section 3.3.4.
const PublishedRate = 419.0 / 54 / 16384

// FailureClass is one way in which nodes fail.
type FailureClass struct {
	Name   string        `json:"class"`
	Rate   float64       `json:"rate"`   // failures a GPU and day
	Repair time.Duration `json:"repair"` // from the failure until the node is clean and ready again, on average
}

// DefaultFailures are classes that the owner should replace by figures of its own:
// the published rate, with an assumed mix and assumed times of repair. Most of the
// published interruptions ended with a restart; a swapped part takes a day, and what
// goes back to its vendor ten.
func DefaultFailures() []FailureClass {
	const day = 24 * time.Hour
	return []FailureClass{
		{"gpu-reset", 0.55 * PublishedRate, 15 * time.Minute},
		{"link-flap", 0.20 * PublishedRate, 5 * time.Minute},
		{"part-swap", 0.20 * PublishedRate, day},
		{"return-to-vendor", 0.05 * PublishedRate, 10 * day},
	}
}

// SparesAsk is what spares are sized for.
type SparesAsk struct {
	Failures []FailureClass
	Nodes    int // nodes an SU
	GPUs     int // GPUs a node; 0: the usual 8
	SUs      int // SUs a pod

	SUShort  float64 // accepted: the probability that an SU has more nodes down than spares
	PodShort float64 // accepted: the probability that a pod's pool is short
}

// SparesPlan is how many spares an SU and a pod should have.
type SparesPlan struct {
	Down    float64       `json:"down"` // mean nodes down an SU, at any instant
	PerSU   int           `json:"per_su"`
	Pool    int           `json:"pool"`  // more of them a pod, anywhere in it
	Share   float64       `json:"share"` // of the pod's nodes that are spares
	Choices []SparesRow   `json:"choices"`
	Classes []ClassFigure `json:"classes"`
}

// SparesRow is what one number of spares an SU would do.
type SparesRow struct {
	PerSU    int     `json:"per_su"`
	SUShort  float64 `json:"su_short"`  // P(more nodes of an SU are down than it has spares)
	Near     float64 `json:"near"`      // share of the nodes that are down whose slot has a spare of its own SU
	Pool     int     `json:"pool"`      // smallest that keeps PodShort
	PodShort float64 `json:"pod_short"` // with that pool: P(some slot of the pod has no node)
	Spares   int     `json:"spares"`    // nodes a pod
}

// ClassFigure is what a class of failures contributes.
type ClassFigure struct {
	FailureClass
	PerDay float64 `json:"per_su_day"` // failures an SU and day
	Down   float64 `json:"down"`       // mean nodes down an SU
}

// PlanSpares sizes spares. The nodes of an SU that are down at an instant are a
// Poisson number whose mean is, over the classes, rate times time of repair: by
// Palm's theorem (M/G/∞) only the mean of the repair time enters. A node that is
// down can't fail again, so the true number is binomial and its tail a little
// smaller: the plan errs to the safe side. It takes failures for independent of
// each other; a leaf or a power feed that takes many nodes down at once is what no
// number of spares an SU covers.
//
// The pool is sized over the exact distribution of what overflows the SUs of a pod.
// Cost: O(SUs · nodes²) for each number of spares, about a millisecond.
func PlanSpares(a SparesAsk) (SparesPlan, error) {
	if err := a.check(); err != nil {
		return SparesPlan{}, err
	}
	p := SparesPlan{PerSU: -1}
	for _, c := range a.Failures {
		day := c.Rate * float64(a.gpus()) * float64(a.Nodes)
		f := ClassFigure{c, day, day * c.Repair.Hours() / 24}
		p.Classes = append(p.Classes, f)
		p.Down += f.Down
	}
	down := poissonOf(p.Down, a.Nodes)
	for spares := 0; spares < a.Nodes; spares++ {
		row := SparesRow{PerSU: spares, SUShort: tail(down, spares+1), Near: near(down, spares)}
		row.Pool, row.PodShort = pool(overflow(down, spares), a.SUs, a.PodShort)
		row.Spares = spares*a.SUs + row.Pool
		p.Choices = append(p.Choices, row)
		if p.PerSU < 0 && row.SUShort <= a.SUShort {
			p.PerSU, p.Pool, p.Share = spares, row.Pool, float64(row.Spares)/float64(a.SUs*a.Nodes)
		}
		if p.PerSU >= 0 && spares > p.PerSU+1 {
			break
		}
	}
	if p.PerSU < 0 {
		return SparesPlan{}, fmt.Errorf("spares: with %.3g nodes of %d down at any instant, no number of spares an SU keeps %g: shorten the repairs or accept more",
			p.Down, a.Nodes, a.SUShort)
	}
	return p, nil
}

func (a SparesAsk) check() error {
	if a.GPUs < 0 || a.GPUs > site.GPUs {
		return fmt.Errorf("spares: %d GPUs a node: expected 1 to %d", a.GPUs, site.GPUs)
	}
	if a.Nodes < 2 || a.Nodes > site.MaxSUNodes || a.SUs < 1 || a.SUs > site.MaxNodes/2 {
		return fmt.Errorf("spares: %d nodes an SU, %d SUs a pod: expected 2 to %d, and at least 1", a.Nodes, a.SUs, site.MaxSUNodes)
	}
	for _, p := range []struct {
		name  string
		value float64
	}{{"SU", a.SUShort}, {"pod", a.PodShort}} {
		if !(p.value > 0 && p.value < 1) {
			return fmt.Errorf("spares: accepted probability that the %s is short: %g, expected between 0 and 1", p.name, p.value)
		}
	}
	if len(a.Failures) == 0 || len(a.Failures) > 64 {
		return fmt.Errorf("spares: %d classes of failures, expected 1 to 64", len(a.Failures))
	}
	for _, c := range a.Failures {
		if !(c.Rate >= 0 && c.Rate <= 1) || c.Repair < 0 || c.Repair > 10*365*24*time.Hour {
			return fmt.Errorf("spares: class %.40q: rate %g a GPU and day, repair %s: expected 0 to 1, and at most ten years", c.Name, c.Rate, c.Repair)
		}
	}
	return nil
}

// gpus is how many GPUs a node has.
func (a SparesAsk) gpus() int {
	if a.GPUs == 0 {
		return site.GPUs
	}
	return a.GPUs
}

// poissonOf is P(N = 0), P(N = 1) ... P(N = most); the last holds the whole tail.
func poissonOf(mean float64, most int) []float64 {
	out := make([]float64, most+1)
	rest := 1.0
	for k := range most {
		lg, _ := math.Lgamma(float64(k + 1))
		p := math.Exp(float64(k)*math.Log(mean) - mean - lg)
		if mean == 0 {
			p = 0
			if k == 0 {
				p = 1
			}
		}
		out[k] = p
		rest -= p
	}
	out[most] = max(0, rest)
	return out
}

// tail sums from the small end, so that small probabilities keep their digits.
func tail(p []float64, from int) float64 {
	sum := 0.0
	for k := len(p) - 1; k >= from; k-- {
		sum += p[k]
	}
	return sum
}

// near is the share of down nodes that a spare of their own SU stands in for.
func near(down []float64, spares int) float64 {
	all, served := 0.0, 0.0
	for k, p := range down {
		all += p * float64(k)
		served += p * float64(min(k, spares))
	}
	if all == 0 {
		return 1
	}
	return served / all
}

// overflow is the distribution of how many down nodes an SU's own spares don't
// cover.
func overflow(down []float64, spares int) []float64 {
	out := make([]float64, max(1, len(down)-spares))
	for k, p := range down {
		out[max(0, k-spares)] += p
	}
	return out
}

// pool is the smallest pool that the overflow of all SUs exceeds with at most the
// accepted probability, and that probability.
func pool(over []float64, sus int, accepted float64) (nodes int, short float64) {
	sum := []float64{1}
	for power := over; sus > 0; sus >>= 1 { // by squaring
		if sus&1 == 1 {
			sum = convolve(sum, power)
		}
		if sus > 1 {
			power = convolve(power, power)
		}
	}
	short = 0
	nodes = len(sum) - 1
	for nodes > 0 && short+sum[nodes] <= accepted {
		short += sum[nodes]
		nodes--
	}
	return nodes, short
}

// convolve is the distribution of the sum of two independent numbers. What is less
// likely than 1e-15 at the far end is dropped: far below any accepted risk.
func convolve(a, b []float64) []float64 {
	out := make([]float64, len(a)+len(b)-1)
	for i, p := range a {
		if p == 0 {
			continue
		}
		for j, q := range b {
			out[i+j] += p * q
		}
	}
	for rest := 0.0; len(out) > 1; {
		if rest += out[len(out)-1]; rest > 1e-15 {
			break
		}
		out = out[:len(out)-1]
	}
	return out
}

// LargestPod is the nodes of an SU, the SUs of the largest pod of a site, and the
// GPUs of its largest nodes: what its spares are planned for.
func LargestPod(s *site.Site) (suNodes, podSUs, nodeGPUs int) {
	sus := make([]int, len(s.Pods))
	for i := range s.SUs {
		suNodes, nodeGPUs = max(suNodes, len(s.SUs[i].Nodes)), max(nodeGPUs, s.SUs[i].Rails())
		sus[s.SUs[i].Pod]++
	}
	for _, n := range sus {
		podSUs = max(podSUs, n)
	}
	return suNodes, podSUs, nodeGPUs
}
