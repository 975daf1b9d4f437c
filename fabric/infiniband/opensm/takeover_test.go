package opensm

import (
	"reflect"
	"testing"

	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/site"
)

// TestOnePopulationUnderSeveralLabels: partitions of the same members are found, and no others.
func TestOnePopulationUnderSeveralLabels(t *testing.T) {
	const text = "Default=0x7fff : ALL=limited, SELF=full ;\na=0x10 : ALL=full ;\nb=0x11 : ALL=full ;\nc=0x12 : 0x1=full, 0x2=limited ;\nd=0x13 : 0x1=full, 0x2=full ;\ne=0x14 : ALL=full ;\nf=0x15 : 0x1=full ;\ng=0x16 : 0x1=full ;\n"
	found := Found{Effect: conf.Interpret([]byte(text), conf.Subnet{Self: 9, Ports: map[uint64]conf.Kind{1: conf.CA, 2: conf.CA, 3: conf.CA}})}
	if got := found.Same(); !reflect.DeepEqual(got, [][]uint16{{0x10, 0x11, 0x14}}) {
		t.Errorf("%#x", got)
	}
}

// TestATakeoverSaysWhatOfBothMembershipsGoes: of a port that is full and limited in a
// partition the full membership is kept, and the limited one is listed as lost; a partition
// of everybody is named.
func TestATakeoverSaysWhatOfBothMembershipsGoes(t *testing.T) {
	d := &Driver{Site: &site.Site{}}
	subnet := conf.Subnet{Self: 9, Both: true, Ports: map[uint64]conf.Kind{1: conf.CA, 2: conf.CA}}
	found := Found{Effect: conf.Interpret([]byte("Default=0x7fff : ALL=limited ;\na=0x5 : 0x1=both, 0x2=limited ;\n"), subnet)}
	kept, lost := d.Keep(found)
	if want := []Membership{{5, 1, true}, {5, 2, false}}; !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %v, expected %v", kept, want)
	}
	if want := []Membership{{5, 1, false}}; !reflect.DeepEqual(lost, want) {
		t.Errorf("lost %v, expected %v", lost, want)
	}
	subnet.Both = false
	found.Effect = conf.Interpret([]byte("a=0x5 : 0x1=both, 0x2=limited ;\n"), subnet)
	if _, lost := d.Keep(found); len(lost) > 0 {
		t.Errorf("without allow_both_pkeys %v is lost", lost)
	}
}
