package linux

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"bulkhead/fabric"
)

// member is what a port is to be: a member of a VNI, or closed.
type member struct {
	PortConfig
	vni      uint32 // 0: closed
	isolated bool
	class    uint8
}

// memberOf turns a row into what a leaf of this kind can do: a port in at most one
// VNI.
func memberOf(p PortConfig, row fabric.Row) (member, error) {
	m := member{PortConfig: p, class: row.Class}
	if err := row.Check("roce", 0); err != nil {
		return m, err
	}
	switch len(row.Leaf) {
	case 0:
	case 1:
		m.vni, m.isolated = row.Leaf[0].Value(), !row.Leaf[0].IsFull()
	default:
		return m, fmt.Errorf("%d labels: a port of this leaf is in one bridge, so it carries one label", len(row.Leaf))
	}
	return m, nil
}

// write makes ports what they are to be. Everything is taken away before anything is
// given: ports that change are closed, and VNIs that nobody is in any more removed,
// before the first port is opened. What fails is named by port; such a port is closed,
// unless it was a member of the same VNI before: a routing daemon that is away takes no
// lease down. Every step is about what is there now, so that a call that ended half-way is
// finished by the same call again. In the end what else of the leaf is not as it is to be
// is put back, whichever ports were named.
func write(ctx context.Context, conf *Config, members []member) map[int]string {
	failed := map[int]string{}
	fail := func(m member, err error) {
		if failed[m.Number] == "" {
			failed[m.Number] = err.Error()
		}
	}
	all := func(err error) map[int]string {
		for _, m := range members {
			fail(m, err)
		}
		return failed
	}
	if err := writeLeafFilter(conf); err != nil {
		return all(err)
	}
	before, err := readLayout(conf)
	if err != nil {
		return all(err)
	}

	// Remove: close the ports that are elsewhere.
	var opening []member
	stays := map[int]bool{}
	for _, m := range members {
		if vni, in := before.of[m.Number]; m.vni != 0 && in && vni == m.vni {
			opening, stays[m.Number] = append(opening, m), true
			continue
		}
		if err := closePort(m.PortConfig); err != nil {
			fail(m, err)
			continue
		}
		if m.vni != 0 {
			opening = append(opening, m)
		}
	}
	after, err := readLayout(conf)
	if err != nil {
		return all(err)
	}
	wanted := maps.Clone(after.occupied)
	for _, m := range opening {
		wanted[m.vni] = true
	}
	var idle []uint32
	for _, vni := range slices.Sorted(maps.Keys(after.vnis)) {
		if !wanted[vni] {
			idle = append(idle, vni)
		}
	}
	// A VNI that bgpd could not be told to forget stays, without a port, and is
	// removed by a later call: nothing of it reaches anybody.
	if dropTargets(ctx, conf, idle) == nil {
		for _, vni := range idle {
			_ = dropVNI(vni)
		}
	}

	// Add: first route targets, so that a VNI has none but its own from the beginning.
	vnis := map[uint32]error{}
	for _, m := range opening {
		vnis[m.vni] = nil
	}
	given := slices.Sorted(maps.Keys(vnis))
	if err := writeTargets(ctx, conf, given, after.vnis); err != nil {
		for _, vni := range given {
			vnis[vni] = err
		}
	}
	for _, vni := range given {
		if vnis[vni] == nil {
			vnis[vni] = makeVNI(conf, vni)
		}
	}
	for _, m := range opening {
		err := vnis[m.vni]
		if err == nil {
			err = plug(m.PortConfig, m.vni, m.isolated)
		}
		if err == nil {
			err = writePortFilters([]portFilter{{PortConfig: m.PortConfig, Open: true, Class: m.class}})
		}
		if err != nil && !stays[m.Number] {
			err = errors.Join(err, closePort(m.PortConfig))
		}
		if err != nil {
			fail(m, err)
		}
	}
	_ = mend(ctx, conf) // no port fails by it: read-back says what is left
	return failed
}

// closePort closes a port: its filter drops everything, and it is in no bridge.
func closePort(p PortConfig) error {
	return errors.Join(writePortFilters([]portFilter{{PortConfig: p}}), unplug(p))
}
