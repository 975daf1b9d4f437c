package ibfabric_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
)

const (
	rightKey = 0x1122334455667788
	wrongKey = 0x8877665544332211
)

// startAt emulates a small tree with a clock that the test moves.
func startAt(t *testing.T) (f *ibfabric.Fabric, s *ibnet.Sim, pass func(time.Duration)) {
	t.Helper()
	var ahead atomic.Int64
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f, s = startWith(t, small, ibfabric.Options{Clock: func() time.Time { return begin.Add(time.Duration(ahead.Load())) }})
	return f, s, func(d time.Duration) { ahead.Add(int64(d)) }
}

// protect sets a port's M_Key, level and lease as a manager does.
func protect(t *testing.T, c *smp.Client, to smp.Address, level uint8, lease uint16) {
	t.Helper()
	info, _, err := c.PortInfo(t.Context(), to, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	info.MKey, info.MKeyProtect, info.MKeyLeasePeriod, info.State = rightKey, level, lease, 0
	if _, err := c.One(t.Context(), smp.Request{To: to, Method: mad.Set, Attribute: mad.AttrPortInfo, Data: info.Encode()}); err != nil {
		t.Fatal(err)
	}
}

var tenantKeys = mad.PKeyBlock{0x8001, 0x7fff}

func write(t *testing.T, c *smp.Client, to smp.Address, switchPort uint8, key uint64) error {
	t.Helper()
	_, err := c.One(t.Context(), smp.Request{To: to, Method: mad.Set, Attribute: mad.AttrPKeyTable, Modifier: mad.PKeyModifier(switchPort, 0), MKey: key, Data: tenantKeys.Encode()})
	return err
}

// ownLeaf is the way from a host to the leaf that it is cabled to.
var ownLeaf = smp.Address{Route: smp.Route("").Next(1)}

// Who gets what at each level of protection, with the right key, a wrong one, and
// none (14.2.4.1): at a host's port, and at a switch by its port 0.
func TestMKeyLevels(t *testing.T) {
	for level := range uint8(4) {
		for _, at := range []smp.Address{{}, ownLeaf} {
			f, s, _ := startAt(t)
			c := client(t, s, host(0))
			name := host(0)
			if at.Route != "" {
				name = ibnet.LeafName(0)
			}
			protect(t, c, at, level, 0)
			violations := uint16(0)
			for _, key := range []uint64{rightKey, wrongKey, 0} {
				info, _, err := c.PortInfo(t.Context(), at, 0, key)
				gets := key == rightKey || level < mad.MKeyGetProtected
				if (err == nil) != gets {
					t.Errorf("level %d at %s, Get with key %x: %v", level, name, key, err)
				}
				shown := uint64(rightKey)
				if key != rightKey && level > mad.MKeyGetOpen {
					shown = 0
				}
				if gets && info.MKey != shown {
					t.Errorf("level %d at %s, Get with key %x shows the key %x, expected %x", level, name, key, info.MKey, shown)
				}
				if !gets {
					violations += 2 // tried twice
				}
				err = write(t, c, at, 1, key)
				if (err == nil) != (key == rightKey) {
					t.Errorf("level %d at %s, Set with key %x: %v", level, name, key, err)
				}
				if key != rightKey {
					violations += 2
				}
			}
			number := 1
			if at.Route != "" {
				number = 0
			}
			p, err := f.Port(name, number)
			if err != nil || p.MKeyViolations != violations {
				t.Errorf("level %d at %s: %d violations counted, expected %d (%v)", level, name, p.MKeyViolations, violations, err)
			}
			if traps, sent := f.Traps(); sent != uint64(violations) || len(traps) == 0 || traps[0].Number != mad.TrapBadMKey || traps[0].Node != name {
				t.Errorf("level %d at %s: %d traps, %+v", level, name, sent, traps)
			}
		}
	}
}

// The lease begins with the first wrong key; a right one stops it; when it has run
// out the port can be read, so that a new manager finds the key, but still not
// written without it (14.2.4.2). A lease of 0 never ends.
func TestMKeyLease(t *testing.T) {
	f, s, pass := startAt(t)
	c := client(t, s, host(0))
	protect(t, c, smp.Address{}, mad.MKeyGetProtected, 60)
	reads := func() bool { _, _, err := c.PortInfo(t.Context(), smp.Address{}, 0, 0); return err == nil }
	before, _ := f.Keys(host(0), 1)

	pass(time.Hour) // nobody has tried: no lease runs
	if reads() {
		t.Fatal("the lease ran before anybody gave a wrong key")
	}
	pass(59 * time.Second)
	if reads() {
		t.Error("the port opened before its lease was over")
	}
	if _, _, err := c.PortInfo(t.Context(), smp.Address{}, 0, rightKey); err != nil {
		t.Fatal(err)
	}
	pass(2 * time.Second) // more than 60 s after the first wrong key
	if reads() {
		t.Error("a right key did not stop the lease")
	}
	pass(61 * time.Second)
	info, _, err := c.PortInfo(t.Context(), smp.Address{}, 0, 0)
	if err != nil || info.MKey != rightKey || info.MKeyProtect != mad.MKeyGetOpen {
		t.Errorf("after the lease: %+v, %v", info, err)
	}
	if err := write(t, c, smp.Address{}, 0, wrongKey); err == nil {
		t.Error("after the lease the port can be written without its key")
	}
	if now, _ := f.Keys(host(0), 1); !bytes.Equal(encode(before), encode(now)) {
		t.Errorf("keys %v, before %v", now, before)
	}

	never := client(t, s, host(1))
	protect(t, never, smp.Address{}, mad.MKeyGetProtected, 0)
	for range 2 {
		if _, _, err := never.PortInfo(t.Context(), smp.Address{}, 0, wrongKey); err == nil {
			t.Error("a lease of 0 ended")
		}
		pass(100 * time.Hour)
	}
}

func encode(keys []mad.PKey) (b []byte) {
	for _, k := range keys {
		b = append(b, byte(k>>8), byte(k))
	}
	return b
}

// A tenant's host that forges SMPs changes nothing without the key: not its own
// tables, not the leaf's, not a neighbour's by directed route; and OpenSM hears.
func TestForgedSetIsRefused(t *testing.T) {
	f, s := start(t, small)
	conf := hardened(t, f, s, host(0))
	allActive(t, f, small)
	await.Must(t, "the tenants' keys", func() bool { k, _ := f.Keys(host(5), 1); return len(k) == 2 })
	c := client(t, s, host(4)) // the first of the second leaf
	before := map[string][]byte{}
	for name, number := range map[string]int{host(4): 1, host(5): 1, ibnet.LeafName(1): 1} {
		k, err := f.Keys(name, number)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = encode(k)
	}
	neighbour := smp.Address{Route: smp.Route("").Next(1).Next(2)}
	for _, to := range []smp.Address{{}, ownLeaf, neighbour} {
		for _, key := range []uint64{0, wrongKey} {
			if err := write(t, c, to, 1, key); err == nil {
				t.Errorf("a forged Set by %s with key %x was answered", to, key)
			}
			off := mad.PortInfo{MKey: key, State: mad.PortDown}
			if _, err := c.One(t.Context(), smp.Request{To: to, Method: mad.Set, Attribute: mad.AttrPortInfo, Modifier: 1, MKey: key, Data: off.Encode()}); err == nil {
				t.Errorf("a forged PortInfo by %s with key %x was answered", to, key)
			}
		}
	}
	for name, number := range map[string]int{host(4): 1, host(5): 1, ibnet.LeafName(1): 1} {
		if k, _ := f.Keys(name, number); !bytes.Equal(before[name], encode(k)) {
			t.Errorf("%s has other keys: %v", name, k)
		}
		if p, _ := f.Port(name, number); p.State != mad.PortActive {
			t.Errorf("%s is %s", name, p.State)
		}
	}
	for _, name := range []string{host(4), host(5), ibnet.LeafName(1)} {
		traps, _ := f.Traps()
		told := false
		for _, trap := range traps {
			told = told || trap.Node == name && trap.Number == mad.TrapBadMKey
		}
		if !told {
			t.Errorf("%s sent no trap 256", name)
		}
	}
	await.Must(t, "OpenSM to log trap 256", func() bool { return says(conf.Log, "num:256") })
	// The positive control: the same Set, with the key.
	if err := write(t, c, smp.Address{}, 0, conf.MKey); err != nil {
		t.Errorf("with the right key: %v", err)
	}
}
