package opensm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/site"
)

// Found is a partitions.conf that is not the one that was put last, for an
// operator to look at.
type Found struct {
	Text   []byte             // nil: there is none
	Digest claim.Digest       // to name it in TakeOver
	Edited error              // ErrEdited, or nil: it is ours
	Ours   *conf.Partitioning // what it says, if it is of our shape
	Effect conf.Effect        // what OpenSM makes of it, with every port of the fabric a host's
}

// Look returns what is in place, and what OpenSM makes of it as it was started.
func (g *Guarded) Look() (Found, error) {
	options, err := g.Guard.started()
	if err != nil {
		return Found{}, fmt.Errorf("options %s: %w", g.Guard.Options, err)
	}
	return g.Driver.Look(options["allow_both_pkeys"] == "TRUE") // without the line it is FALSE
}

// Look returns what is in place. both says whether OpenSM was started with
// allow_both_pkeys.
func (d *Driver) Look(both bool) (Found, error) {
	text, err := d.Manager.File.Read()
	if err != nil && !errors.Is(err, ErrEdited) {
		return Found{}, err
	}
	found := Found{Text: text, Digest: claim.DigestOf(text), Edited: err}
	found.Ours, _ = conf.ParsePartitions(text)
	s := conf.Subnet{Ports: map[uint64]conf.Kind{}, Both: both}
	if len(d.SMs) > 0 {
		s.Self = d.SMs[0]
	}
	for p, guid := range d.Site.PortID {
		if d.Site.FabricOf(site.Port(p)) == d.Fabric {
			s.Ports[guid] = conf.CA
		}
	}
	found.Effect = conf.Interpret(text, s)
	return found, nil
}

// Membership is a port in a partition.
type Membership struct {
	Key  uint16 `json:"key"`
	Port uint64 `json:"port"` // GUID
	Full bool   `json:"full"`
}

// Keep says what a file that is not ours comes to when it is taken over as it is:
// the same members of the same partitions. Only full membership of the default
// partition goes, of all but service ports: it joins everybody; and limited membership
// of a partition beside full one, which reaches nobody more. Lost are the memberships
// that go; limited membership of the default partition stays with all.
func (d *Driver) Keep(found Found) (kept, lost []Membership) {
	for key, ports := range found.Effect.Members {
		for guid, full := range ports {
			m := Membership{key, guid, full}
			if found.Effect.Also[key][guid] && key != conf.DefaultPKey {
				lost = append(lost, Membership{key, guid, false})
			}
			switch {
			case key != conf.DefaultPKey:
				kept = append(kept, m)
			case full && d.serves(guid):
				kept = append(kept, m)
			case full && !d.manages(guid):
				lost = append(lost, m)
			}
		}
	}
	order := func(a, b Membership) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Port, b.Port)) }
	slices.SortFunc(kept, order)
	slices.SortFunc(lost, order)
	return kept, lost
}

// Same returns the partitions that have the same members, at least two of them, with the same
// membership: one population under several labels, which separate nobody. Groups of
// one are left out, and so is the default partition.
func (f *Found) Same() [][]uint16 {
	groups := map[claim.Digest][]uint16{}
	var order []claim.Digest
	for _, key := range slices.Sorted(maps.Keys(f.Effect.Members)) {
		members := f.Effect.Members[key]
		if key == conf.DefaultPKey || len(members) < 2 {
			continue
		}
		var text []byte
		for _, guid := range slices.Sorted(maps.Keys(members)) {
			text = fmt.Appendf(text, "%016x %t\n", guid, members[guid])
		}
		d := claim.DigestOf(text)
		if groups[d] == nil {
			order = append(order, d)
		}
		groups[d] = append(groups[d], key)
	}
	var out [][]uint16
	for _, d := range order {
		if len(groups[d]) > 1 {
			out = append(out, groups[d])
		}
	}
	return out
}

// Everybody returns the partitions that have every port of the fabric as a full member:
// they separate nobody. The default partition is left out.
func (d *Driver) Everybody(found Found) (keys []uint16) {
	ports := 0
	for p := range d.Site.PortID {
		if d.Site.FabricOf(site.Port(p)) == d.Fabric {
			ports++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found.Effect.Members)) {
		full := 0
		for _, is := range found.Effect.Members[key] {
			if is {
				full++
			}
		}
		if key != conf.DefaultPKey && full >= ports && ports > 1 {
			keys = append(keys, key)
		}
	}
	return keys
}

// manages reports whether a port is one that the owner's SMs run on: they are full
// members of the default partition in our files as well.
func (d *Driver) manages(guid uint64) bool { return slices.Contains(d.SMs, guid) }

// TakeOverAsIs puts the file that Keep describes in place of one that is not ours,
// for an operator who looked at it. Nothing is waited for: members stay where they
// are, but for what is lost.
func (d *Driver) TakeOverAsIs(ctx context.Context, found Found) error {
	kept, _ := d.Keep(found)
	want := members{}
	for _, k := range kept {
		m := fabric.Limited(uint32(k.Key))
		if k.Full {
			m = fabric.Full(uint32(k.Key))
		}
		want[k.Port] = append(want[k.Port], m)
	}
	text, err := conf.CheckedPartitions(want.partitioning())
	if err != nil {
		return err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	fence, err := d.Manager.File.Newest()
	if err != nil {
		return err
	}
	if err := d.Manager.File.TakeOver(ctx, text, fence, found.Digest); err != nil {
		return err
	}
	return d.Manager.Reload.Reload(ctx)
}
