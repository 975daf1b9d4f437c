package place

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"bulkhead/site"
)

const day = 24 * time.Hour

// The figures of the design: P(two or more down in an SU of 64 nodes) at the
// published rate is about 2.5 % with a day's repair, 16 % with three, 50 % with seven.
func TestTwoOrMoreDown(t *testing.T) {
	for days, want := range map[int]float64{1: 0.025, 3: 0.16, 7: 0.50} {
		got := atLeastDown(2, 64, FailureClass{"any", PublishedRate, time.Duration(days) * day})
		if math.Abs(got-want) > want/20 {
			t.Errorf("%d days: %.4f, expected about %.3f", days, got, want)
		}
		// The binomial of independent nodes that can't fail while they are down is a
		// little smaller, so the plan errs to the safe side.
		p := PublishedRate * site.GPUs * float64(days)
		p /= 1 + p
		none, one := math.Pow(1-p, 64), 64*p*math.Pow(1-p, 63)
		if binomial := 1 - none - one; binomial > got || got-binomial > 0.06*got {
			t.Errorf("%d days: Poisson %.4f, binomial %.4f", days, got, binomial)
		}
	}
}

// The plan against a simulation of a pod: fail by class, repair, count.
func TestPlanSparesAgainstSimulation(t *testing.T) {
	a := SparesAsk{Nodes: 64, SUs: 20, SUShort: 0.05, PodShort: 0.05, Failures: []FailureClass{
		{"reset", 4 * PublishedRate, 6 * time.Hour}, {"part", PublishedRate, 2 * day}, {"vendor", 0.2 * PublishedRate, 9 * day}}}
	p, err := PlanSpares(a)
	if err != nil {
		t.Fatal(err)
	}
	row := p.Choices[p.PerSU]
	if row.SUShort > a.SUShort || row.PodShort > a.PodShort || p.Choices[p.PerSU-1].SUShort <= a.SUShort {
		t.Fatalf("plan %+v", p)
	}
	r := rand.New(rand.NewPCG(3, 4))
	const samples = 20_000
	suShort, podShort, downs, near := 0, 0, 0, 0
	for range samples {
		over := 0
		for range a.SUs {
			down := 0
			for _, c := range a.Failures {
				// The failures within the last repair time; exponential repair would do as well.
				down += poisson(r, c.Rate*site.GPUs*64*c.Repair.Hours()/24)
			}
			if down > row.PerSU {
				suShort++
			}
			downs += down
			near += min(down, row.PerSU)
			over += max(0, down-row.PerSU)
		}
		if over > row.Pool {
			podShort++
		}
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"SU short", float64(suShort) / samples / 20, row.SUShort}, {"pod short", float64(podShort) / samples, row.PodShort},
		{"down", float64(downs) / samples / 20, p.Down}, {"near", float64(near) / float64(downs), row.Near},
	} {
		if math.Abs(c.got-c.want) > 0.05*c.want+0.002 {
			t.Errorf("%s: simulated %.4f, planned %.4f", c.what, c.got, c.want)
		}
	}
}

func TestPlanSparesGrowsWithRepair(t *testing.T) {
	last := -1
	for days := range 12 {
		p, err := PlanSpares(SparesAsk{Nodes: 64, SUs: 49, SUShort: 0.03, PodShort: 0.01,
			Failures: []FailureClass{{"any", PublishedRate, time.Duration(days) * day}}})
		if err != nil {
			t.Fatal(err)
		}
		if p.PerSU < last {
			t.Errorf("%d days: %d spares, fewer than with a shorter repair", days, p.PerSU)
		}
		last = p.PerSU
		if want := map[int]int{0: 0, 1: 1, 3: 3, 7: 4}[days]; want != 0 && p.PerSU != want {
			t.Errorf("%d days: %d spares an SU, expected %d", days, p.PerSU, want)
		}
	}
}

func TestPlanSparesRefuses(t *testing.T) {
	good := SparesAsk{Nodes: 64, SUs: 49, SUShort: 0.03, PodShort: 0.01, Failures: DefaultFailures()}
	if _, err := PlanSpares(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*SparesAsk){
		"one node":     func(a *SparesAsk) { a.Nodes = 1 },
		"no SUs":       func(a *SparesAsk) { a.SUs = 0 },
		"no classes":   func(a *SparesAsk) { a.Failures = nil },
		"certain":      func(a *SparesAsk) { a.SUShort = 0 },
		"not a number": func(a *SparesAsk) { a.PodShort = math.NaN() },
		"rate":         func(a *SparesAsk) { a.Failures = []FailureClass{{"x", math.NaN(), day}} },
		"repair":       func(a *SparesAsk) { a.Failures = []FailureClass{{"x", 1, -day}} },
		"hopeless":     func(a *SparesAsk) { a.Failures = []FailureClass{{"x", 1, 400 * day}} },
	} {
		a := good
		change(&a)
		if p, err := PlanSpares(a); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// atLeastDown is the probability that k or more of an SU's nodes are down at an
// instant: the Poisson tail, for failures of one class and nodes of 8 GPUs.
func atLeastDown(k, nodes int, c FailureClass) float64 {
	return tail(poissonOf(c.Rate*site.GPUs*float64(nodes)*c.Repair.Hours()/24, nodes), k)
}
