package prove

import (
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
)

// ProbePredicate is the in-toto predicate type of a tenant's signed probe.
const ProbePredicate = "bulkhead/probe/1"

// KindProbed is the entry kind of a probe that a tenant has filed, in its scope.
const KindProbed = "isolation.probed/1"

// Probe is an experiment of the tenant's own on a node that it has leased: it
// tries what must fail, and beside it what must succeed, since a probe that
// reaches nothing at all shows nothing. Signed with the tenant's key it is the
// only evidence of isolation that does not rest on the owner's word.
//
// It shows what one node could reach at one time, by the ways that were tried.
type Probe struct {
	Version int          `json:"version"` // 1
	Site    string       `json:"site"`
	Tenant  string       `json:"tenant"`
	Lease   string       `json:"lease"`
	Node    string       `json:"node"` // on which it ran
	At      time.Time    `json:"at"`   // by that node's clock
	Origin  claim.Origin `json:"origin"`
	Tries   []Try        `json:"tries"`
}

// Try is one thing that was tried. Kind is the family of tries that a control
// stands for: a control on InfiniBand says nothing of Ethernet.
type Try struct {
	Kind   string `json:"kind"`   // "p-key", "sa", "smp", "sm", "vni", "ip"
	What   string `json:"what"`   // in words
	Target string `json:"target"` // GUID, LID, address
	Expect string `json:"expect"` // Reached or Denied
	Got    string `json:"got"`    // Reached, Denied or Unclear
	Detail string `json:"detail,omitempty"`
}

// What a try is expected to come to, and comes to.
const (
	Reached = "reached"
	Denied  = "denied"
	Unclear = "unclear" // neither an answer nor a refusal that would tell: it counts as nothing shown
)

// maxTries bounds a probe.
const maxTries = 4096

// maxProbe is the largest probe that is read, in bytes.
const maxProbe = 4 << 20

// DecodeProbe reads a probe. What it does not know, it refuses.
func DecodeProbe(data []byte) (*Probe, error) {
	var p Probe
	if err := claim.Exact(data, maxProbe, &p); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return &p, p.Check()
}

// Check refuses a probe that shows nothing: without tries that were to fail,
// or with a family of tries whose positive control was not reached.
func (p *Probe) Check() error {
	switch {
	case p.Version != 1:
		return fmt.Errorf("probe: version %d, expected 1", p.Version)
	case p.Site == "" || p.Tenant == "" || p.Lease == "" || p.Node == "":
		return errors.New("probe: site, tenant, lease and node must be named")
	case p.At.IsZero():
		return errors.New("probe: it has no time")
	case !p.Origin.Valid():
		return fmt.Errorf("probe: origin %.40q: expected hardware, emulated or simulated", string(p.Origin))
	case len(p.Tries) > maxTries:
		return fmt.Errorf("probe: %d tries, at most %d", len(p.Tries), maxTries)
	}
	controlled, denials := map[string]bool{}, 0
	for i := range p.Tries {
		t := &p.Tries[i]
		if t.Kind == "" || t.What == "" {
			return fmt.Errorf("probe: tries[%d]: kind and what must be said", i)
		}
		if t.Expect != Reached && t.Expect != Denied {
			return fmt.Errorf("probe: tries[%d].expect: %.40q: expected reached or denied", i, t.Expect)
		}
		if t.Got != Reached && t.Got != Denied && t.Got != Unclear {
			return fmt.Errorf("probe: tries[%d].got: %.40q: expected reached, denied or unclear", i, t.Got)
		}
		if t.Expect == Reached && t.Got == Reached {
			controlled[t.Kind] = true
		}
		if t.Expect == Denied {
			denials++
		}
	}
	if denials == 0 {
		return errors.New("probe: nothing was tried that must fail")
	}
	for i := range p.Tries {
		if t := &p.Tries[i]; t.Expect == Denied && !controlled[t.Kind] {
			return fmt.Errorf("probe: tries[%d] (%s): no positive control of kind %q was reached: what is denied then shows nothing", i, t.What, t.Kind)
		}
	}
	return nil
}

// Leaks lists the tries that reached what they must not.
func (p *Probe) Leaks() []Try { return p.that(Denied, Reached) }

// Open lists the tries of which nothing is shown.
func (p *Probe) Open() []Try { return p.that(Denied, Unclear) }

func (p *Probe) that(expect, got string) (list []Try) {
	for _, t := range p.Tries {
		if t.Expect == expect && t.Got == got {
			list = append(list, t)
		}
	}
	return list
}

// Probed records a probe that a tenant has filed. The owner does not judge it:
// whose key signed it, the tenant's verifier knows.
type Probed struct {
	Lease     string       `json:"lease"`
	Node      string       `json:"node"`
	KeyID     string       `json:"key"` // that the envelope names
	Tries     int          `json:"tries"`
	Leaks     int          `json:"leaks"`
	Statement claim.Digest `json:"statement"` // the body with the signed probe
}
