package iblab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

// How an attack ends.
const (
	Prevented = stage.Prevented // nothing of it takes effect
	Detected  = stage.Detected  // it takes effect, and is seen at the next sweep
)

// Attack is one attack on the InfiniBand fabric of a lab whose rivals have their
// leases. It is mounted for real: on the emulated devices, on OpenSM, on its files.
type Attack struct {
	Name   string
	By     string // who can mount it
	Ends   string // Prevented or Detected
	Check  string // the prover's check that its ports must fail, or item of the posture; "": nothing has to
	Action string // what is done about it
	Lasts  bool   // packets arrive until it is undone: nobody is there who could lock down
	// Where returns the ports that must fail the check, and all that may be red while it
	// lasts; it is asked before the attack is mounted. nil: none.
	Where func(l *Lab) (at, touched []site.Port)
	// Mount mounts it; undo takes away what the owner's people would take away.
	Mount func(ctx context.Context, l *Lab) (undo func(ctx context.Context) error, err error)
}

// victims are the first HCAs of the two rivals, of nodes that are up, on rail 0, and the leaf ports that
// they are cabled to.
type victims struct {
	hca      [2]string
	leaf     [2]string
	leafPort [2]int
	port     [2]site.Port
	key      [2]mad.PKey
}

func (l *Lab) victims() (v victims) {
	l.Plane.View(func(s *book.State) {
		for i, tenant := range Tenants {
			for _, lease := range s.LeasesOf(tenant) {
				slot := 0
				for slot < len(lease.Slots)-1 && !s.SlotUp(lease, slot) {
					slot++ // one that fails of itself is no victim
				}
				n := lease.Slots[slot]
				v.port[i] = site.PortOf(n, 0)
				v.hca[i] = ibnet.HCAName(s.Site.NodeID[n], 0)
				v.leaf[i] = s.Site.LeafID(s.Site.LeafOf(v.port[i]))
				v.leafPort[i] = s.Site.LeafPort(v.port[i])
			}
		}
	})
	v.key = [2]mad.PKey{l.Key(Tenants[0]), l.Key(Tenants[1])}
	return v
}

// add puts a P_Key into the first free entry of a table.
func add(k mad.PKey) func([]mad.PKey) {
	return func(keys []mad.PKey) {
		for i := range keys {
			if !keys[i].Valid() {
				keys[i] = k
				return
			}
		}
	}
}

func nothing(context.Context) error { return nil }

// How long a host waits for an answer: to what it may do until that comes, and to what
// is refused only a moment, because a refusal is silence. That it was refused is not
// read from that, but from what the device counts.
const (
	answered = time.Minute
	refused  = 200 * time.Millisecond
)

// host gives the software of a leased node its own way into the fabric.
func (l *Lab) host(name string, patience time.Duration) (*smp.Client, error) {
	at, err := umad.OpenSim(umad.SimOptions{Socket: l.Fabric.Name, Host: name})
	if err != nil {
		return nil, err
	}
	return smp.New(at, smp.Options{Window: 1, Timeout: patience, Tries: 1})
}

// setKeys writes a block of a P_Key table by a subnet management packet from a
// host, with an M_Key.
func setKeys(ctx context.Context, c *smp.Client, to smp.Address, switchPort uint8, mkey uint64, keys ...mad.PKey) error {
	var block mad.PKeyBlock
	copy(block[:], keys)
	_, err := c.One(ctx, smp.Request{To: to, Method: mad.Set, Attribute: mad.AttrPKeyTable, Modifier: mad.PKeyModifier(switchPort, 0), MKey: mkey, Data: block.Encode()})
	return err
}

// What attacks must show at, and what they may touch.

// ourPort: the first rival's, and no other.
func ourPort(l *Lab) (at, touched []site.Port) {
	v := l.victims()
	return v.port[:1], v.port[:1]
}

// bothPorts: those of both rivals, and no other.
func bothPorts(l *Lab) (at, touched []site.Port) {
	v := l.victims()
	return v.port[:], v.port[:]
}

// forgedPort: of the port that says that it is the other's.
func forgedPort(l *Lab) (at, touched []site.Port) {
	v := l.victims()
	return v.port[:1], v.port[:]
}

// ourPortAlone: nothing leaks, so nothing may be red.
func ourPortAlone(l *Lab) (at, touched []site.Port) {
	v := l.victims()
	return v.port[:1], nil
}

// written: what names it is an item of the posture, and a host writes its own port.
func written(l *Lab) (at, touched []site.Port) {
	v := l.victims()
	return nil, v.port[:1]
}

// wholeFabric: the first rival's port must show it, and every port may be red.
func wholeFabric(l *Lab) (at, touched []site.Port) {
	v := l.victims()
	for p := range site.Port(l.Site.Ports()) {
		if l.Site.HasPort(p) && l.Site.FabricOf(p) == l.FabricIndex() {
			touched = append(touched, p)
		}
	}
	return v.port[:1], touched
}

// refusedSet sends a Set that a port must refuse, and waits until the port has counted
// it: only then is silence an answer. It is
// its own HCA, or the leaf port that this hangs on.
func (l *Lab) refusedSet(ctx context.Context, c *smp.Client, v victims, atLeaf bool, mkey uint64, keys ...mad.PKey) error {
	to, port, counts, number := smp.Address{}, uint8(0), v.hca[0], 1
	if atLeaf { // a switch counts at its port 0
		to, port, counts, number = smp.Address{Route: smp.Route("").Next(1)}, uint8(v.leafPort[0]), v.leaf[0], 0
	}
	before, err := l.Fabric.Port(counts, number)
	if err != nil {
		return err
	}
	if err := setKeys(ctx, c, to, port, mkey, keys...); err == nil {
		return fmt.Errorf("a Set at %s was answered", counts)
	}
	return await.True(ctx, counts+" to count a violation of its M_Key", func() bool {
		now, err := l.Fabric.Port(counts, number)
		return err == nil && now.MKeyViolations > before.MKeyViolations
	})
}

// Attacks is the corpus.
func Attacks() []Attack {
	return []Attack{
		{Name: "the rival's P_Key in an HCA, behind the manager's back", By: "a host whose firmware lets it", Ends: Detected, Check: "foreign-label", Action: "locked down; the leaf keeps it out meanwhile", Where: ourPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			return nothing, l.Fabric.Tamper(v.hca[0], 1, add(v.key[1]))
		}},
		{Name: "the rival's P_Key in an HCA and at its leaf", By: "whoever has the M_Key", Ends: Detected, Check: "foreign-label", Action: "locked down", Where: ourPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			if err := l.Fabric.Tamper(v.hca[0], 1, add(v.key[1])); err != nil {
				return nil, err
			}
			return nothing, l.Fabric.Tamper(v.leaf[0], v.leafPort[0], add(v.key[1]))
		}},
		{Name: "a key that nobody owns joins two rivals", By: "whoever has the M_Key", Ends: Detected, Check: "unowned-label", Action: "locked down", Where: bothPorts, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			for i := range 2 {
				if err := l.Fabric.Tamper(v.hca[i], 1, add(0x8123)); err != nil {
					return nil, err
				}
				if err := l.Fabric.Tamper(v.leaf[i], v.leafPort[i], add(0x8123)); err != nil {
					return nil, err
				}
			}
			return nothing, nil
		}},
		{Name: "a leaf port stops enforcing", By: "a faulty switch, or whoever has the M_Key", Ends: Detected, Check: "enforcement-off", Action: "locked down", Where: ourPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			return func(context.Context) error { return l.Fabric.Enforce(v.leaf[0], v.leafPort[0], true, true) },
				l.Fabric.Enforce(v.leaf[0], v.leafPort[0], false, false)
		}},
		{Name: "an HCA's table is filled up", By: "a host whose firmware lets it", Ends: Detected, Check: "table-full", Action: "locked down", Where: ourPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			return func(context.Context) error {
					return l.Fabric.Tamper(v.hca[0], 1, func(keys []mad.PKey) { clear(keys[2:]) })
				}, l.Fabric.Tamper(v.hca[0], 1, func(keys []mad.PKey) {
					for i := range keys {
						if !keys[i].Valid() {
							keys[i] = mad.PKey(0x9000 + i)
						}
					}
				})
		}},
		{Name: "full membership of the default partition", By: "whoever has the M_Key", Ends: Detected, Check: "shared-full", Action: "locked down", Where: bothPorts, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			for i := range 2 {
				if err := l.Fabric.Tamper(v.hca[i], 1, add(0xffff)); err != nil {
					return nil, err
				}
			}
			return nothing, nil
		}},
		{Name: "a forged Set of the own P_Key table, without the M_Key", By: "a leased node", Ends: Prevented, Check: "", Action: "refused and counted; trap 256", Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			c, err := l.host(v.hca[0], refused)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			_, before := l.Fabric.Traps()
			if err := l.refusedSet(ctx, c, v, false, 0, v.key[0], v.key[1]); err != nil {
				return nil, err
			}
			if err := l.refusedSet(ctx, c, v, true, 1, v.key[0], v.key[1]); err != nil {
				return nil, err
			}
			return nothing, await.True(ctx, "two traps to be sent", func() bool { _, sent := l.Fabric.Traps(); return sent >= before+2 })
		}},
		{Name: "a forged Set at the own leaf port, with a stolen M_Key", By: "a leased node with the subnet's key", Ends: Detected, Check: "foreign-label", Action: "locked down; change the key", Where: ourPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			c, err := l.host(v.hca[0], answered)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			keys := []mad.PKey{v.key[0], 0x7fff, v.key[1]}
			if err := setKeys(ctx, c, smp.Address{}, 0, l.conf.MKey, keys...); err != nil {
				return nil, err
			}
			return nothing, setKeys(ctx, c, smp.Address{Route: smp.Route("").Next(1)}, uint8(v.leafPort[0]), l.conf.MKey, keys...)
		}},
		{Name: "partitions.conf edited so that OpenSM opens the fabric", By: "an administrator in a hurry", Ends: Detected, Check: "shared-full", Action: "the brake; locked down over the edit, which restores the file", Where: wholeFabric, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			if err := os.WriteFile(l.conf.Partitions, []byte("Default=0x7fff : ALL=limited ;\nT1=0x1 : host1=full ;\n"), 0o600); err != nil {
				return nil, err
			}
			v := l.victims()
			if err := l.sm.Process.Signal(syscall.SIGHUP); err != nil {
				return nil, err
			}
			return l.ReleaseBrake, await.True(ctx, "OpenSM to open the fabric", func() bool {
				keys, err := l.Fabric.Keys(v.hca[0], 1)
				return err == nil && slices.Contains(keys, mad.DefaultPKey)
			})
		}},
		{Name: "partitions.conf edited so that a port is the rival's", By: "an administrator", Ends: Detected, Check: "foreign-label", Action: "locked down over the edit, which restores the file", Where: bothPorts, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			text, err := os.ReadFile(l.conf.Partitions)
			if err != nil {
				return nil, err
			}
			guids := [2]string{fmt.Sprintf("0x%016x", l.Site.PortID[v.port[0]]), fmt.Sprintf("0x%016x", l.Site.PortID[v.port[1]])}
			edited := strings.NewReplacer(guids[0], guids[1], guids[1], guids[0]).Replace(string(text))
			if edited == string(text) {
				return nil, fmt.Errorf("neither %s nor %s is in the file", guids[0], guids[1])
			}
			if err := os.WriteFile(l.conf.Partitions, []byte(edited), 0o600); err != nil {
				return nil, err
			}
			if err := l.sm.Process.Signal(syscall.SIGHUP); err != nil {
				return nil, err
			}
			return nothing, await.True(ctx, "OpenSM to follow the edit", func() bool {
				keys, err := l.Fabric.Keys(v.hca[0], 1)
				for _, k := range keys {
					if k == v.key[1] {
						return err == nil
					}
				}
				return false
			})
		}},
		{Name: "the cables of two rivals are swapped", By: "a technician", Ends: Detected, Check: "foreign-label", Action: "red until it is undone; the keys follow the GUID, so nothing leaks", Where: bothPorts, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			swap := func(first, second int) error {
				for i := range 2 {
					if err := l.Fabric.Pull(v.leaf[i], v.leafPort[i]); err != nil {
						return err
					}
				}
				if err := l.Fabric.Plug(v.leaf[0], v.leafPort[0], v.hca[first], 1); err != nil {
					return err
				}
				return l.Fabric.Plug(v.leaf[1], v.leafPort[1], v.hca[second], 1)
			}
			return func(context.Context) error { return swap(0, 1) }, swap(1, 0)
		}},
		{Name: "an HCA says that it is another", By: "a host that forges its GUID", Ends: Detected, Check: "wrong-neighbour", Action: "unknown or red until it is undone", Where: forgedPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			return func(context.Context) error { return l.Fabric.Spoof(v.hca[0], l.Site.PortID[v.port[0]]) },
				l.Fabric.Spoof(v.hca[0], l.Site.PortID[v.port[1]])
		}},
		{Name: "an unknown host is plugged into a leaf", By: "somebody in the hall", Ends: Detected, Check: "uncounted-port", Action: "the leaf counts as unknown until it is gone", Where: ourPortAlone, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			const free = 16 // no node of the inventory is there
			_ = l.Fabric.AddHost("stranger", 0x0002c90300000010)
			return func(context.Context) error { return l.Fabric.Pull(v.leaf[0], free) }, l.Fabric.Plug(v.leaf[0], free, "stranger", 1)
		}},
		{Name: "a host behind a switch of its own is plugged into a leaf", By: "somebody in the hall", Ends: Detected, Check: "every adapter is in the inventory, at its place", Action: "the leaf counts as unknown, and nothing new is handed over, until it is gone", Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			const free = 15
			_ = l.Fabric.AddSwitch("own-switch", 0x0002c90300000a00, 4)
			_ = l.Fabric.AddHost("hidden", 0x0002c90300000b00)
			if err := l.Fabric.Plug("own-switch", 2, "hidden", 1); err != nil {
				return nil, err
			}
			return func(context.Context) error { return l.Fabric.Pull(v.leaf[0], free) }, l.Fabric.Plug(v.leaf[0], free, "own-switch", 1)
		}},
		{Name: "a leaf falls silent", By: "a fault, or whoever wants to hide something", Ends: Detected, Check: "unreadable", Action: "unknown after the window; nothing is locked down", Where: ourPortAlone, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			return func(context.Context) error { return l.Fabric.Silence(v.leaf[0], false) }, l.Fabric.Silence(v.leaf[0], true)
		}},
		{Name: "the manager starts again with a stale file", By: "a restored backup", Ends: Detected, Check: "missing-own-label", Action: "cut off, not open; an operator takes the file over", Where: ourPortAlone, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			if err := l.KillManager(); err != nil {
				return nil, err
			}
			now, err := os.ReadFile(l.conf.Partitions)
			if err != nil {
				return nil, err
			}
			stale := "# Partitions of a Bulkhead fabric. Written as a whole; an edit by hand is refused.\nDefault=0x7fff : ALL=limited, ALL_SWITCHES=full, SELF=full ;\n# end: 0 partitions, 0 members\n"
			if err := os.WriteFile(l.conf.Partitions, []byte(stale), 0o600); err != nil {
				return nil, err
			}
			// A manager that starts writes every table anew.
			if err := l.StartManager(ctx); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				if err := os.WriteFile(l.conf.Partitions, now, 0o600); err != nil {
					return err
				}
				return l.sm.Process.Signal(syscall.SIGHUP)
			}, nil
		}},
		{Name: "the manager dies, and a leased node writes", By: "a leased node", Ends: Prevented, Check: "one master, on an allowed port", Action: "M_Keys stay in force without a manager", Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			if err := l.KillManager(); err != nil {
				return nil, err
			}
			c, err := l.host(v.hca[0], refused)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			if err := l.refusedSet(ctx, c, v, false, 0, v.key[1]); err != nil {
				return nil, err
			}
			return l.StartManager, nil
		}},
		{Name: "the M_Key's lease runs out without a manager", By: "a leased node with patience", Ends: Detected, Check: "foreign-label",
			Action: "locked down as soon as a manager is back, and open until then; a manager must be back within the lease", Lasts: true, Where: ourPort, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
				v := l.victims()
				if err := l.KillManager(); err != nil {
					return nil, err
				}
				wrong, err := l.host(v.hca[0], refused)
				if err != nil {
					return nil, err
				}
				defer wrong.Close()
				for _, atLeaf := range []bool{false, true} { // a wrong key starts the lease
					if err := l.refusedSet(ctx, wrong, v, atLeaf, 1, v.key[1]); err != nil {
						return nil, err
					}
				}
				c, err := l.host(v.hca[0], answered)
				if err != nil {
					return nil, err
				}
				defer c.Close()
				leaf := smp.Address{Route: smp.Route("").Next(1)}
				l.skip.Add(int64(61 * time.Second))
				keys := []mad.PKey{v.key[0], 0x7fff, v.key[1]}
				for _, to := range []smp.Address{{}, leaf} {
					info, _, err := c.PortInfo(ctx, to, 0, 0)
					if err != nil {
						return nil, fmt.Errorf("the lease has run out, and the port is silent: %w", err)
					}
					port := uint8(0)
					if to == leaf {
						port = uint8(v.leafPort[0])
					}
					if err := setKeys(ctx, c, to, port, info.MKey, keys...); err != nil {
						return nil, err
					}
				}
				return l.StartManager, nil
			}},
		{Name: "a multicast group of the rival's partition is made and joined", By: "a leased node", Ends: Prevented, Check: "", Action: "subnet administration refuses: the port has no such P_Key", Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			guid := l.Site.PortID[v.port[0]]
			if status, err := l.joinGroup(ctx, v.hca[0], guid, v.key[1], 0x501); err != nil || status == mad.StatusOK {
				return nil, fmt.Errorf("in the rival's partition: status %s, %v", status, err)
			}
			// The positive control: the same under its own key.
			if status, err := l.joinGroup(ctx, v.hca[0], guid, v.key[0], 0x502); err != nil || status != mad.StatusOK {
				return nil, fmt.Errorf("in its own partition: status %s, %v", status, err)
			}
			return nothing, nil
		}},
		{Name: "the subnet's multicast groups are used up", By: "a leased node", Ends: Detected, Check: "a multicast group can be made", Action: "nothing new is handed over until there is room; OpenSM frees them when it starts again", Where: written, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			again := func(ctx context.Context) error {
				if err := l.KillManager(); err != nil {
					return err
				}
				return l.StartManager(ctx)
			}
			return again, l.useUpGroups(ctx)
		}},
		{Name: "a cable is pulled out", By: "a technician", Ends: Detected, Check: "no-neighbour", Action: "the port counts as unknown until it is back", Where: ourPortAlone, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			return func(context.Context) error { return l.Fabric.Plug(v.leaf[0], v.leafPort[0], v.hca[0], 1) }, l.Fabric.Pull(v.leaf[0], v.leafPort[0])
		}},
		{Name: "a leaf's forwarding entry for a port is taken out", By: "whoever has the M_Key", Ends: Detected, Check: "unreached", Action: "cut off, not open; OpenSM writes forwarding tables again when it starts, and not before", Where: ourPortAlone, Mount: forwardingTakenOut},
		{Name: "an adapter is up and does not answer", By: "a leased node", Ends: Detected, Check: "no-neighbour", Action: "its port counts as unknown; what is handed over to others goes on, because its leaf keeps it in (A1)", Where: ourPortAlone, Mount: silentAdapter},
		{Name: "the tables of an HCA and its leaf port are emptied while the manager hangs", By: "whoever has the M_Key", Ends: Detected, Check: "unlabelled", Action: "cut off, not open; written anew as soon as a manager answers", Where: ourPortAlone, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			if err := l.sm.Process.Signal(syscall.SIGSTOP); err != nil {
				return nil, err
			}
			empty := func(keys []mad.PKey) { clear(keys) }
			if err := l.Fabric.Tamper(v.hca[0], 1, empty); err != nil {
				return nil, err
			}
			return func(context.Context) error { return l.sm.Process.Signal(syscall.SIGCONT) }, l.Fabric.Tamper(v.leaf[0], v.leafPort[0], empty)
		}},
		{Name: "a released P_Key stays in an adapter that does not answer", By: "a tenant that is gone", Ends: Prevented, Check: "", Action: "the key is not given to anybody until every port that had it is read back", Where: wholeFabric, Mount: keyReuse},
		{Name: "the manager starts again with default keys, and a leased node writes", By: "an administrator without opensm.conf", Ends: Detected, Check: "every port has an M_Key", Action: "locked down; nothing new is handed over until the keys are back", Where: written, Mount: defaultKeys},
		{Name: "the manager fails over to one with a stale file", By: "a second manager that nobody kept up", Ends: Detected, Check: "missing-own-label", Action: "cut off, not open; nothing is written while it is master", Where: ourPortAlone, Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			stale := filepath.Join(l.Dir, "stale.conf")
			text, err := conf.CheckedPartitions(&conf.Partitioning{})
			if err == nil {
				err = os.WriteFile(stale, text, 0o600)
			}
			if err != nil {
				return nil, err
			}
			guid, err := l.Fabric.GUID(ibnet.Canary)
			if err != nil {
				return nil, err
			}
			log := filepath.Join(l.Dir, "standby.log")
			standby, err := l.second(guid, stale, log)
			if err != nil {
				return nil, err
			}
			said := func(text string) func() bool {
				return func() bool {
					said, err := os.ReadFile(log)
					return err == nil && bytes.Contains(said, []byte(text))
				}
			}
			if err := await.True(ctx, "the second manager to stand by", said("STANDBY")); err != nil {
				return nil, err
			}
			if err := l.KillManager(); err != nil {
				return nil, err
			}
			v := l.victims()
			return func(ctx context.Context) error {
					_ = standby.Process.Kill()
					_ = standby.Wait()
					return l.StartManager(ctx)
				}, await.True(ctx, "the second manager to take over and write its file", func() bool {
					keys, err := l.Fabric.Keys(v.hca[0], 1)
					return err == nil && !slices.Contains(keys, v.key[0])
				})
		}},
		// The last one: OpenSM 3.3.23 was seen to take no SIGHUP any more after it had
		// met a rogue on this fabric, also when it is started again. Why is not known.
		{Name: "a rogue OpenSM with priority 15 and default keys", By: "a leased node", Ends: Prevented, Check: fabric.KindPosture, Action: "M_Keys keep it out; nothing new is handed over while it runs", Mount: func(ctx context.Context, l *Lab) (func(context.Context) error, error) {
			v := l.victims()
			rogue, err := l.opensm(v.hca[0], "-p", "15", "-f", filepath.Join(l.Dir, "rogue.log"))
			if err != nil {
				return nil, err
			}
			l.others = append(l.others, rogue)
			// It has as long as it needs to find out that it is alone.
			err = await.True(ctx, "the rogue to settle", func() bool {
				said, _ := os.ReadFile(filepath.Join(l.Dir, "opensm-at-"+v.hca[0], "said"))
				return bytes.Contains(said, []byte("Entering MASTER")) || bytes.Contains(said, []byte("Entering STANDBY")) || bytes.Contains(said, []byte("SM port is down"))
			})
			time.Sleep(2 * time.Second) // and to write what it can, if it can: the longer, the harder for the fabric
			return func(context.Context) error {
				_ = rogue.Process.Kill()
				_ = rogue.Wait()
				return nil
			}, err
		}},
	}
}
