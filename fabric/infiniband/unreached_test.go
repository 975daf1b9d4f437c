package infiniband

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/fabric"
)

// unreached is a list that Decode reads as these readings.
func unreached(readings []fabric.Reading) (list []Unreached) {
	for _, r := range readings {
		u := Unreached{LeafPort: r.LeafPort, Address: r.Faults&fabric.FaultAddress != 0}
		if r.Faults&fabric.FaultUnreached != 0 {
			u.Missed, u.One = 1, 1
		}
		if r.Neighbour != 0 && (!r.Followed || r.Faults != 0) {
			list = append(list, u)
		}
	}
	return list
}

func TestFollowedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		readings := []fabric.Reading{row(1, 5), row(7, 5), {LeafPort: 8, EnforceIn: true, EnforceOut: true}, row(64, 6)}
		raw, err := Encode(header, readings)
		if err != nil {
			t.Fatal(err)
		}
		var list []Unreached
		for i := range readings {
			r := &readings[i]
			if r.Neighbour == 0 {
				continue
			}
			r.Followed = true
			if !rapid.Bool().Draw(t, "listed") {
				continue
			}
			u := Unreached{LeafPort: r.LeafPort, Address: rapid.Bool().Draw(t, "address"), Missed: rapid.Uint16().Draw(t, "missed")}
			if u.Address {
				r.Faults |= fabric.FaultAddress
			}
			if u.Missed > 0 {
				u.One = rapid.Uint64Min(1).Draw(t, "one")
				r.Faults |= fabric.FaultUnreached
			}
			r.Followed = r.Faults != 0
			list = append(list, u)
		}
		whole := Follow(raw, list)
		got, err := Decode(whole)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].Followed != readings[i].Followed || got[i].Faults != readings[i].Faults {
				t.Fatalf("read %+v, wrote %+v", got[i], readings[i])
			}
		}
		if _, err := Decode(whole[:rapid.IntRange(0, len(whole)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a part was accepted")
		}
		if _, err := Decode(append(bytes.Clone(whole), 0)); err == nil {
			t.Fatal("a byte too many was accepted")
		}
	})
}

func TestFollowedRefuses(t *testing.T) {
	raw, err := Encode(header, []fabric.Reading{row(1, 5), {LeafPort: 2}, row(3, 5)})
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]Unreached{
		"a port that is not there":      {{LeafPort: 4}},
		"a port with nobody behind it":  {{LeafPort: 2}},
		"the same port twice":           {{LeafPort: 1}, {LeafPort: 1}},
		"ports out of order":            {{LeafPort: 3}, {LeafPort: 1}},
		"nobody missed, but it is told": {{LeafPort: 1, One: 5}},
		"one missed that is not told":   {{LeafPort: 1, Missed: 5}},
	} {
		if _, err := Decode(Follow(raw, list)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	b := Follow(raw, []Unreached{{LeafPort: 1}})
	b[len(b)-unreachedSize+1] = 2
	if _, err := Decode(b); err == nil {
		t.Error("a flag that nobody knows: accepted")
	}
	if again := Follow(b, nil); !slices.Equal(again, b) {
		t.Error("what was followed is followed again")
	}
}
