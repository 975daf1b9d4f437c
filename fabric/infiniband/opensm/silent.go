package opensm

import (
	"context"
	"fmt"
	"strings"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
)

// silence is what a sweep asked in vain, in words. An adapter of the inventory that is up
// and does not answer must not hold what is done for others: keptIn are those whose
// leaf was read, and checks every packet of theirs by its own table, both ways. The labels
// in that table are the prover's to judge, as of every port. silent is everything else.
//
// What carries it is the certificate's assumption A1, and for subnet management, which no
// P_Key keeps in, the M_Keys of the others. So an adapter that says that a manager runs
// behind it and does not say which is silent, wherever it is.
func (r *SMPReader) silence(ctx context.Context, f *smp.Fabric) (silent, keptIn []string, err error) {
	kept, err := r.kept(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range f.Missing {
		if at := (end{m.From.Node, m.From.Port}); m.What == smp.WhatManager || kept[at] == "" {
			silent = append(silent, fmt.Sprintf("%s at route %s: %v", m.What, m.Route, m.Err))
		}
	}
	for _, c := range f.Conflicts {
		silent = append(silent, fmt.Sprintf("0x%016x: %s", c.GUID, c.What))
	}
	for _, n := range f.Nodes { // in the order of the fabric, so that equal looks read alike
		for _, p := range n.Ports {
			if words := kept[end{n.GUID, p.Number}]; words != "" {
				keptIn = append(keptIn, words)
			}
		}
	}
	return silent, keptIn, nil
}

// kept is which ports of leaves keep in an adapter that does not answer, each in words.
func (r *SMPReader) kept(ctx context.Context, f *smp.Fabric) (map[end]string, error) {
	quiet, leaves := map[end]bool{}, map[uint64]bool{}
	for _, m := range f.Missing {
		if at := (end{m.From.Node, m.From.Port}); r.Edge != nil && r.Edge.Listed(at.leaf, at.port) {
			quiet[at], leaves[at.leaf] = true, true
		}
	}
	if len(quiet) == 0 {
		return nil, nil
	}
	tables, err := r.Client.ReadTables(ctx, f, smp.TableOptions{Keys: r.Keys, Only: func(guid uint64) bool { return leaves[guid] }})
	if err != nil {
		return nil, err
	}
	kept := map[end]string{}
	for i := range tables.Ports {
		e := &tables.Ports[i]
		at := end{e.Switch.Node, e.Switch.Port}
		if keys, enforced := enforcedKeys(e); quiet[at] && enforced {
			kept[at] = fmt.Sprintf("%s port %d, to %s", r.Edge.name(f, at.leaf), at.port, keys)
		}
	}
	return kept, nil
}

// enforcedKeys is the table of a leaf's port, and whether the leaf holds the port to it: it
// said so itself, both ways, and the table has a free entry ("enforcement switches off
// silently when a table is full").
func enforcedKeys(e *smp.EdgePort) (keys string, enforced bool) {
	for _, m := range e.Missing {
		if e.Host == nil || m.Route != e.HostRoute {
			return "", false
		}
	}
	port := mad.ParsePortInfo(&e.PortInfo)
	var list []string
	for _, k := range smp.PKeys(e.Keys, e.KeyCap) {
		list = append(list, k.String())
	}
	if len(list) == 0 {
		list = []string{"no key"}
	}
	return strings.Join(list, " "), port.EnforceIn && port.EnforceOut && len(list) < int(e.KeyCap)
}
