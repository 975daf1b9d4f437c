package book

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/fabric"
	"bulkhead/ledger"
)

// Posture is whether what guards a fabric's management held when it was looked at
// last.
type Posture struct {
	Holds  bool
	Since  time.Time
	Failed []string
	Lacks  []string
}

// maxPosture bounds what one entry says of a posture.
const maxPosture = 32

// RecordPosture records what was found of a fabric's posture, if it is not what
// was known.
type RecordPosture struct {
	Fabric  string
	Posture fabric.Posture
}

func (c RecordPosture) decide(s *State, env Env) (*Decision, error) {
	if s.Labels[c.Fabric] == nil {
		return nil, refuse("fabric", "the site has no fabric %q", c.Fabric)
	}
	failed, lacks := c.Posture.Failed(), c.Posture.Lacks()
	failed, lacks = failed[:min(len(failed), maxPosture)], lacks[:min(len(lacks), maxPosture)]
	// What is seen of an item may differ from look to look; which items fail is
	// what counts.
	if was, known := s.Postures[c.Fabric]; known && was.Holds == (len(failed) == 0) && slices.EqualFunc(was.Failed, failed, sameItem) && slices.Equal(was.Lacks, lacks) {
		return nil, ErrNothing
	}
	body := fabric.Postures{Fabric: c.Fabric, Holds: len(failed) == 0, Failed: failed, Lacks: lacks}
	d := &Decision{}
	d.add(SiteScope, fabric.KindPosture, body)
	// A tenant is told which items fail. What was seen of them is the manager's word, and
	// may name devices, files and sockets of the owner's, and ports of others.
	toTenant := body
	toTenant.Failed = nil
	for _, item := range failed {
		name, _, _ := strings.Cut(item, ": ")
		toTenant.Failed = append(toTenant.Failed, name)
	}
	told := map[string]bool{}
	for _, l := range s.Leases {
		if l.Fabric == c.Fabric && l.Returned.IsZero() && !told[l.Tenant] {
			told[l.Tenant] = true
			d.add(TenantScope(l.Tenant), fabric.KindPosture, toTenant)
		}
	}
	return d, nil
}

// sameItem says whether two failures, as "name: evidence", are of one item.
func sameItem(a, b string) bool {
	a, _, _ = strings.Cut(a, ": ")
	b, _, _ = strings.Cut(b, ": ")
	return a == b
}

func (s *State) applyPosture(e *ledger.Entry, b fabric.Postures, _ Bodies) error {
	if e.Scope != SiteScope {
		return nil
	}
	if s.Labels[b.Fabric] == nil {
		return fmt.Errorf("the site has no fabric %q", b.Fabric)
	}
	if b.Holds != (len(b.Failed) == 0) {
		return fmt.Errorf("posture of %s: it holds: %t, and %d items fail", b.Fabric, b.Holds, len(b.Failed))
	}
	s.Postures[b.Fabric] = Posture{Holds: b.Holds, Since: e.Time, Failed: b.Failed, Lacks: b.Lacks}
	return nil
}

// Unguarded says why nothing may be handed over on a fabric, or "".
func (s *State) Unguarded(fabricID string) string {
	p, known := s.Postures[fabricID]
	if !known || p.Holds {
		return ""
	}
	return fmt.Sprintf("the management of fabric %s is not guarded: %s", fabricID, p.Failed[0])
}
