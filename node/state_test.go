package node

import (
	"encoding/json"
	"testing"
)

func TestStatesComeBack(t *testing.T) {
	for s := range State(States) {
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back State
		if err := json.Unmarshal(encoded, &back); err != nil || back != s {
			t.Errorf("%s came back as %s, error %v", s, back, err)
		}
	}
	var s State
	for _, bad := range []string{`"clean"`, `""`, `3`, `"Ready"`} {
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if _, err := json.Marshal(State(States)); err == nil {
		t.Error("a state that does not exist was written")
	}
}

// reach is where a node can get to from a state without passing one of others.
func reach(from State, without ...State) map[State]bool {
	seen := map[State]bool{from: true}
	for again := true; again; {
		again = false
		for a := range seen {
			for b := range State(States) {
				blocked := false
				for _, w := range without {
					blocked = blocked || w == b
				}
				if !blocked && !seen[b] && Allowed(a, b) {
					seen[b], again = true, true
				}
			}
		}
	}
	return seen
}

// There is no shortcut from a tenant to the next one, and no dead end.
func TestNoShortcutAndNoDeadEnd(t *testing.T) {
	for _, must := range []State{Sanitizing, Attesting, Reclaiming} {
		if reach(Delivered, must)[Ready] {
			t.Errorf("a delivered node gets ready without %s", must)
		}
	}
	for _, dirty := range []State{Delivered, Reclaiming, Severed, Sanitizing, Quarantined, Repair} {
		if dirty != Sanitizing && reach(dirty, Sanitizing)[Ready] {
			t.Errorf("%s leads to ready without sanitizing", dirty)
		}
		if reach(dirty, Attesting)[Ready] {
			t.Errorf("%s leads to ready without attesting", dirty)
		}
	}
	for s := range State(States) {
		if s != Retired && !reach(s)[Ready] {
			t.Errorf("nothing leads from %s to ready", s)
		}
		if s != Discovered && reach(s)[Discovered] && s != Discovered {
			t.Errorf("%s leads back to discovered", s)
		}
		if Allowed(Retired, s) || Allowed(s, s) {
			t.Errorf("arrow to %s", s)
		}
	}
}

func TestEveryArrowNeedsSomething(t *testing.T) {
	for a := range State(States) {
		for b := range State(States) {
			if (needs(a, b) != "") != Allowed(a, b) {
				t.Errorf("%s to %s: allowed %t, needs %q", a, b, Allowed(a, b), needs(a, b))
			}
		}
	}
}

// needs says what evidence a move needs; "" if it does not exist.
func needs(from, to State) string {
	if to == Quarantined && Allowed(from, to) {
		return "what was wrong, late or missing"
	}
	return arrows[[2]State{from, to}]
}
