package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
)

// everyAttack is all forgeries that there are, whatever they are about.
func everyAttack() []attack {
	return slices.Concat(attacks, moreAttacks, spanAttacks, assentAttacks, actAttacks, deedAttacks, stateAttacks)
}

func publicOf(s claim.Signer) ed25519.PublicKey { return s.Key.Public().(ed25519.PublicKey) }

// commit writes the forged bundle.
func (a *attempt) commit() []byte {
	in := a.Input()
	if a.in != nil {
		in = *a.in
	}
	return bundle.WriteForged(in, a.bodies)
}

func (at attack) begin() (*attempt, []byte) {
	story := assentStories[at.name]
	if story == nil {
		story = bundletest.Whole
	}
	a := &attempt{Story: story(owner), policy: owner.Policy(bundletest.Tenant)}
	at.forge(a)
	return a, a.commit()
}

func findings(report *bundle.Report, check bundle.Check) []string {
	var out []string
	for _, f := range report.Rejected {
		if f.Check == check {
			out = append(out, f.String())
		}
	}
	return out
}

// TestForgeriesAreRejected has every forgery caught by the check that is meant
// to, with the owner's real keys on it; and without that check, not by it.
func TestForgeriesAreRejected(t *testing.T) {
	caught := map[bundle.Check]int{}
	var alone []string
	for _, at := range everyAttack() {
		t.Run(at.name, func(t *testing.T) {
			a, data := at.begin()
			report, err := verify(data, a.policy, a.opts)
			if report == nil || !errors.Is(err, bundle.ErrRejected) || report.Proven {
				t.Fatalf("expected a rejection with a report, got %v", err)
			}
			if found := findings(report, at.check); !strings.Contains(strings.Join(found, "\n"), at.says) || len(found) == 0 {
				t.Fatalf("expected a finding of %s with %q, got %v", at.check, at.says, report.Rejected)
			}
			caught[at.check]++
			without, err := bundle.VerifyWithout(at.check, bytes.NewReader(data), int64(len(data)), a.policy, a.opts)
			if err == nil {
				alone = append(alone, string(at.check))
			}
			if without != nil && len(findings(without, at.check)) > 0 {
				t.Fatalf("%s is disabled and still finds %v", at.check, findings(without, at.check))
			}
		})
	}
	for _, c := range bundle.Checks() {
		if caught[c.Name] == 0 {
			t.Errorf("no forgery shows that the check %q is needed", c.Name)
		}
	}
	slices.Sort(alone)
	t.Logf("%d forgeries, %d checks; caught by one check alone: %v", len(everyAttack()), len(bundle.Checks()), slices.Compact(alone))
}
