package opensm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/ibnet"
)

// TestBothMembershipsWithOpenSM: with allow_both_pkeys a port that is both full and limited
// holds two entries, as the model says, and its leaf port the full one alone.
func TestBothMembershipsWithOpenSM(t *testing.T) {
	options := filepath.Join(t.TempDir(), "opensm.conf")
	if err := os.WriteFile(options, []byte("force_log_flush TRUE\nallow_both_pkeys TRUE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := startLab(t, "-F", options)
	s := l.subnet()
	s.Both = true
	host := func(i int) string { return fmt.Sprintf("0x%016x", ibnet.HostPortGUID(i)) }
	for _, text := range []string{
		"A=0x5 : ALL=both ;\n",
		"A=0x5, defmember=both : " + host(0) + ", " + host(1) + "=limited, " + host(2) + "=full ;\n",
		"A=0x5 : " + host(0) + "=full, " + host(0) + "=limited, " + host(1) + "=limited, " + host(1) + "=full ;\n",
		"A=0x5 : " + host(0) + "=both, " + host(0) + "=limited, " + host(1) + "=limited, " + host(1) + "=both ;\n",
		"A=0x5 : " + host(0) + "=b, " + host(1) + "=bothx, " + host(2) + "= ;\n",
		"Default=0x7fff : ALL=both, SELF=full ;\nA=0x5 : ALL=both ;\n",
	} {
		l.feed([]byte(defaultOnly))
		l.feed([]byte(text))
		e := conf.Interpret([]byte(text), s)
		full, also := l.entries()
		if want := hosts(e.Members, s); !reflect.DeepEqual(full, want) {
			t.Errorf("%q: the hosts carry %v, the model says %v", text, full, want)
		}
		if want := hosts(e.Also, s); !reflect.DeepEqual(also, want) {
			t.Errorf("%q: full and limited are %v, the model says %v", text, also, want)
		}
	}
}

// entries reads every host's table: by key and port whether one entry is full, and the
// ports that have both.
func (l *lab) entries() (full, also map[uint16]map[uint64]bool) {
	l.t.Helper()
	tables, err := l.client.ReadTables(context.Background(), l.swept, smp.TableOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	full, also = map[uint16]map[uint64]bool{}, map[uint16]map[uint64]bool{}
	for i := range tables.Ports {
		e := &tables.Ports[i]
		if e.Host == nil {
			continue
		}
		if !e.Complete() {
			l.t.Fatalf("host 0x%x: %+v", e.HostGUID, e.Missing)
		}
		for _, k := range smp.PKeys(e.Host.Keys, e.HostCap) {
			if full[k.Key()] == nil {
				full[k.Key()] = map[uint64]bool{}
			}
			if _, twice := full[k.Key()][e.HostGUID]; twice {
				if also[k.Key()] == nil {
					also[k.Key()] = map[uint64]bool{}
				}
				also[k.Key()][e.HostGUID] = true
			}
			full[k.Key()][e.HostGUID] = full[k.Key()][e.HostGUID] || k.IsFull()
		}
	}
	return full, also
}
