package opensm

import (
	"reflect"
	"testing"

	"bulkhead/fabric/infiniband/opensm/partitions"
)

// TestOnePopulationUnderSeveralLabels: partitions of the same members are found, and no others.
func TestOnePopulationUnderSeveralLabels(t *testing.T) {
	const text = "Default=0x7fff : ALL=limited, SELF=full ;\na=0x10 : ALL=full ;\nb=0x11 : ALL=full ;\nc=0x12 : 0x1=full, 0x2=limited ;\nd=0x13 : 0x1=full, 0x2=full ;\ne=0x14 : ALL=full ;\nf=0x15 : 0x1=full ;\ng=0x16 : 0x1=full ;\n"
	found := Found{Effect: partitions.Interpret([]byte(text), partitions.Subnet{Self: 9, Ports: map[uint64]partitions.Kind{1: partitions.CA, 2: partitions.CA, 3: partitions.CA}})}
	if got := found.Same(); !reflect.DeepEqual(got, [][]uint16{{0x10, 0x11, 0x14}}) {
		t.Errorf("%#x", got)
	}
}
