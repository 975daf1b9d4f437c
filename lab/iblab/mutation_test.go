//go:build labs

package iblab

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
	"bulkhead/prove"
	"bulkhead/site"
)

// scene is what the devices said while an attack was under way, as raw bytes, and what
// the ledger said then of who holds which port and whose each label is.
type scene struct {
	Attack
	*stage.Facts
	site   *site.Site
	fabric int
	said   fabric.Observation
	leased [2][]site.Port // of the rivals
}

// capture reads every device, by the driver, before the control plane looks. An attack
// that the prover names is captured when all its ports show it, because OpenSM may be on
// its way.
func (l *Lab) capture(ctx context.Context, t *testing.T, a Attack, at []site.Port) *scene {
	t.Helper()
	s := &scene{Attack: a, Facts: l.Facts(), site: l.Site, fabric: l.Driver.Fabric}
	l.Plane.View(func(b *book.State) {
		for i, tenant := range Tenants {
			for _, lease := range b.LeasesOf(tenant) {
				for slot, n := range lease.Slots {
					for nic := range site.NICs {
						if p := site.PortOf(n, nic); b.SlotUp(lease, slot) && b.Site.FabricOf(p) == s.fabric {
							s.leased[i] = append(s.leased[i], p)
						}
					}
				}
			}
		}
	})
	check(t, await.Until(ctx, "devices to show it", func() (string, bool) {
		var err error
		s.said, err = l.Driver.Observe(ctx, fabric.Scope{})
		check(t, err)
		c := s.check()
		if c == prove.Passed {
			return "", true
		}
		p := s.read(t)
		for _, port := range at {
			if failed := p.Failed(port); !slices.Contains(failed, c) {
				return fmt.Sprintf("%s fails %v", s.site.PortName(port), failed), false
			}
		}
		return "", true
	}))
	return s
}

// read has a new prover read the raw bytes, without some of its checks.
func (s *scene) read(t *testing.T, without ...prove.Check) *prove.Prover {
	t.Helper()
	p, err := s.Prover()
	check(t, err)
	for _, c := range without {
		p.Without(c)
	}
	check(t, s.Read(p, s.said.Devices))
	return p
}

// check is the prover's check that the attack is named by; Passed: something else is.
func (s *scene) check() prove.Check {
	i := slices.IndexFunc(prove.Checks(), func(c prove.Check) bool { return c.String() == s.Check })
	if i < 0 {
		return prove.Passed
	}
	return prove.Checks()[i]
}

// judgement is what a prover says of a scene: ports of the compute fabric by the first
// check that fails there, and whether each rival's lease is proven.
type judgement struct {
	names  map[prove.Check]int
	proven bool
}

// judge has a new prover judge the raw bytes, without some of its checks.
func (s *scene) judge(t *testing.T, without ...prove.Check) judgement {
	t.Helper()
	p := s.read(t, without...)
	j := judgement{names: map[prove.Check]int{}, proven: true}
	for port := range site.Port(s.site.Ports()) {
		if _, c := p.Verdict(port); c != prove.Passed && s.site.FabricOf(port) == s.fabric {
			j.names[c]++
		}
	}
	for _, ports := range s.leased {
		verdict, _ := p.Lease(ports)
		j.proven = j.proven && verdict == prove.Proven
	}
	return j
}

// alone are the attacks that nothing but one check stands in the way of: without it the
// rivals' leases are proven. Of the others a second check of the port, or what leases
// are judged by as a whole, still says no.
var alone = map[prove.Check][]string{
	prove.EnforcementOff:  {"a leaf port stops enforcing"},
	prove.UnownedLabel:    {"a key that nobody owns joins two rivals"},
	prove.Unreached:       {"a leaf's forwarding entry for a port is taken out"},
	prove.MissingOwnLabel: {"the manager starts again with a stale file", "the manager fails over to one with a stale file"},
}

// mutate takes every check away in turn and judges every scene again. Without its check
// an attack loses its name, and without any other it keeps it.
func mutate(t *testing.T, attacks []*scene) {
	t.Helper()
	for _, s := range attacks {
		if c, j := s.check(), s.judge(t); c != prove.Passed && (j.names[c] == 0 || j.proven && c.Verdict() != prove.Unknown) {
			t.Errorf("%s: what was captured does not show %s: %v, the leases are proven: %t", s.Name, c, j.names, j.proven)
		}
	}
	for _, c := range prove.Checks() {
		var nameless, unnoticed []string
		for _, s := range attacks {
			is := s.check()
			if is == prove.Passed {
				continue
			}
			whole, less := s.judge(t), s.judge(t, c)
			if lost := less.names[is] == 0; lost != (is == c) {
				t.Errorf("%s, without %s: named %v, with it %v", s.Name, c, less.names, whole.names)
			}
			if is != c {
				continue
			}
			nameless = append(nameless, s.Name)
			// The node of this one may have left its lease by then: no verdict hangs on it.
			if less.proven && s.Name != "an adapter is up and does not answer" {
				unnoticed = append(unnoticed, s.Name)
			}
			t.Logf("without %-18s %q is named %v, the leases are proven: %t", c, s.Name, less.names, less.proven)
		}
		why, is := elsewhere[c]
		if t.Logf("without %-18s %d attacks go without their name %s", c, len(nameless), why); is != (len(nameless) == 0) {
			t.Errorf("without the check %s, %d attacks of the corpus go without their name", c, len(nameless))
		}
		if !slices.Equal(unnoticed, alone[c]) {
			t.Errorf("without the check %s nothing says no to %q, expected %q", c, unnoticed, alone[c])
		}
	}
}
