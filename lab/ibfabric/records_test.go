package ibfabric_test

import (
	"strings"
	"testing"

	"bulkhead/lab/ibnet"
)

func TestRecords(t *testing.T) {
	tree := ibnet.Tree{Hosts: 128, PerLeaf: 16, Spines: 2}
	f, s := start(t, tree)
	s.StartOpenSM(t, host(0), partitions())
	allActive(t, f, tree)
	for _, a := range [][]string{{"NR"}, {"PIR"}, {"--smkey", "1", "PKTR"}, {"-D"}} {
		out, err := s.Tool(t, host(0), "saquery", a...)
		t.Logf("%v: %v, %d records\n%.1500s", a, err, strings.Count(out, "Record dump"), out)
	}
}
