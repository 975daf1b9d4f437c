package smp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// maxNodes keeps a fabric that invents nodes from filling the memory: a subnet
// has fewer than 49,152 unicast LIDs (4.1.1).
const maxNodes = 1 << 17

// step is one cable that is to be followed.
type step struct {
	from  End
	route Route
}

// sweep is a sweep on its way.
type sweep struct {
	c     *Client
	keys  Keys
	found *Fabric
}

// Sweep finds the fabric from the local port: breadth first, along every port
// whose link is up. Each node says who it is at the end of each of its cables,
// so a GUID that two nodes claim shows as a conflict. A step that fails is in
// Missing; the error is for what ends the sweep as a whole.
//
// It costs a NodeInfo for every cable, and for every node its description and a
// PortInfo for each port.
func (c *Client) Sweep(ctx context.Context, keys Keys) (*Fabric, error) {
	s := &sweep{c: c, keys: keys, found: &Fabric{byGUID: map[uint64]*Node{}, Began: time.Now()}}
	steps := []step{{}}
	for len(steps) > 0 {
		arrived, err := s.follow(ctx, steps)
		if err != nil {
			return nil, err
		}
		if err := s.describe(ctx, arrived); err != nil {
			return nil, err
		}
		if len(s.found.Nodes) > maxNodes {
			return nil, fmt.Errorf("smp: more than %d nodes: no subnet has so many; somebody makes them up", maxNodes)
		}
		steps = s.onward(arrived)
	}
	if len(s.found.Nodes) == 0 {
		return nil, fmt.Errorf("smp: the local node: %w", s.found.Missing[0].Err)
	}
	if err := s.managers(ctx); err != nil {
		return nil, err
	}
	s.found.Ended = time.Now()
	return s.found, nil
}

// arrival is a port that was reached for the first time: a node's first, or
// another port of a host.
type arrival struct {
	node *Node
	port uint8 // by which it was reached
	new  bool  // the node was not known
}

// follow asks who is at the end of each step.
func (s *sweep) follow(ctx context.Context, steps []step) ([]arrival, error) {
	var arrived []arrival
	err := s.c.Batch(ctx, len(steps), func(i int) Request {
		return Request{To: Address{Route: steps[i].route}, Attribute: mad.AttrNodeInfo, MKey: s.keys.behind(steps[i].from.Node, steps[i].from.Port)}
	}, func(i int, a Answer, err error) {
		if err != nil {
			s.missing(steps[i].from, steps[i].route, "NodeInfo", err)
			return
		}
		if to, first := s.arrive(steps[i], a); first {
			arrived = append(arrived, to)
		}
	})
	return arrived, err
}

func (s *sweep) missing(from End, r Route, what string, err error) {
	s.found.Missing = append(s.found.Missing, Missing{From: from, Route: r, What: what, Err: err})
}

func (s *sweep) conflict(guid uint64, r Route, format string, args ...any) {
	s.found.Conflicts = append(s.found.Conflicts, Conflict{GUID: guid, Route: r, What: fmt.Sprintf(format, args...)})
}

// arrive notes who answered at the end of a step.
func (s *sweep) arrive(at step, a Answer) (arrival, bool) {
	info := mad.ParseNodeInfo(&a.Data)
	if info.NodeGUID == 0 || info.NumPorts == 0 || info.LocalPort > info.NumPorts || info.LocalPort == 0 && info.Type != mad.Switch ||
		info.Type < mad.ChannelAdapter || info.Type > mad.Router {
		s.missing(at.from, at.route, "NodeInfo", fmt.Errorf("%s %016x with %d ports, asked by port %d: no node is like that",
			info.Type, info.NodeGUID, info.NumPorts, info.LocalPort))
		return arrival{}, false
	}
	here := End{info.NodeGUID, info.LocalPort}
	node := s.found.byGUID[info.NodeGUID]
	known := node != nil
	if !known {
		node = &Node{GUID: info.NodeGUID, Info: a.Data, Route: at.route, At: a.At}
		if len(s.found.Nodes) == 0 {
			s.found.Local = info.NodeGUID
		}
		s.found.Nodes = append(s.found.Nodes, node)
		s.found.byGUID[info.NodeGUID] = node
		if node.IsSwitch() {
			for n := range int(info.NumPorts) + 1 {
				node.Ports = append(node.Ports, &Port{Number: uint8(n), Route: at.route})
			}
			node.Ports[0].GUID = info.PortGUID
		}
	} else if other := node.NodeInfo(); other.Type != info.Type || other.NumPorts != info.NumPorts || other.SystemImageGUID != info.SystemImageGUID {
		s.conflict(info.NodeGUID, at.route, "a %s with %d ports, by route %s a %s with %d",
			info.Type, info.NumPorts, node.Route, other.Type, other.NumPorts)
		return arrival{}, false
	}
	port := node.Port(info.LocalPort)
	first := !known
	if port == nil {
		port = &Port{Number: info.LocalPort, GUID: info.PortGUID, Route: at.route}
		node.Ports = append(node.Ports, port)
		slices.SortFunc(node.Ports, func(a, b *Port) int { return int(a.Number) - int(b.Number) })
		first = true
	}
	s.join(at, here)
	return arrival{node, info.LocalPort, !known}, first
}

// join notes a cable at both its ends.
func (s *sweep) join(at step, here End) {
	if at.from == (End{}) { // the local node: nothing was crossed
		return
	}
	if at.from == here {
		s.conflict(here.Node, at.route, "its port %d leads to itself", here.Port)
		return
	}
	ends := [2]End{at.from, here}
	for i, end := range ends {
		other := ends[1-i]
		port := s.found.byGUID[end.Node].Port(end.Port)
		if port.Neighbour != (End{}) && port.Neighbour != other {
			s.conflict(end.Node, at.route, "port %d is joined to %016x port %d and to %016x port %d",
				end.Port, port.Neighbour.Node, port.Neighbour.Port, other.Node, other.Port)
			return
		}
	}
	for i, end := range ends {
		s.found.byGUID[end.Node].Port(end.Port).Neighbour = ends[1-i]
	}
}

// question is one attribute that describe asks a node for.
type question struct {
	node      *Node
	port      *Port
	attribute mad.Attribute
	modifier  uint32
}

func (q question) String() string {
	switch q.attribute {
	case mad.AttrNodeDescription:
		return "NodeDescription"
	case mad.AttrSwitchInfo:
		return "SwitchInfo"
	}
	return fmt.Sprintf("PortInfo %d", q.port.Number)
}

// describe reads what the sweep keeps of nodes that were just found.
func (s *sweep) describe(ctx context.Context, arrived []arrival) error {
	var ask []question
	for _, a := range arrived {
		if a.new {
			ask = append(ask, question{a.node, a.node.Ports[0], mad.AttrNodeDescription, 0})
		}
		if !a.node.IsSwitch() {
			ask = append(ask, question{a.node, a.node.Port(a.port), mad.AttrPortInfo, uint32(a.port)})
			continue
		}
		ask = append(ask, question{a.node, a.node.Ports[0], mad.AttrSwitchInfo, 0})
		for _, p := range a.node.Ports {
			ask = append(ask, question{a.node, p, mad.AttrPortInfo, uint32(p.Number)})
		}
	}
	return s.c.Batch(ctx, len(ask), func(i int) Request {
		q := ask[i]
		return Request{To: Address{Route: q.port.Route}, Attribute: q.attribute, Modifier: q.modifier, MKey: s.keys.of(s.keyGUID(q))}
	}, func(i int, a Answer, err error) {
		q := ask[i]
		switch {
		case err != nil:
			s.missing(q.port.Neighbour, q.port.Route, q.String(), err)
		case q.attribute == mad.AttrNodeDescription:
			q.node.Description = mad.ParseNodeDescription(&a.Data)
		case q.attribute == mad.AttrSwitchInfo:
			q.node.SwitchInfo = a.Data
		default:
			q.port.Info, q.port.Read, q.port.At = a.Data, true, a.At
		}
	})
}

// keyGUID is the GUID that Keys.Of knows a port by.
func (s *sweep) keyGUID(q question) uint64 {
	if q.node.IsSwitch() {
		return q.node.GUID
	}
	return q.port.GUID
}

// onward lists the cables that lead on from nodes that were just found: not those
// whose other end is known, so none of a host that was reached from elsewhere.
func (s *sweep) onward(arrived []arrival) []step {
	var steps []step
	for _, a := range arrived {
		for _, p := range a.node.Ports {
			if p.Number == 0 || p.Neighbour != (End{}) || !p.Up() {
				continue
			}
			next := step{End{a.node.GUID, p.Number}, p.Route.Next(p.Number)}
			if len(next.route) > mad.MaxHops {
				s.missing(next.from, p.Route, "NodeInfo", errTooFar)
				continue
			}
			steps = append(steps, next)
		}
	}
	return steps
}

var errTooFar = errors.New("too far away for a directed route")

// WhatManager is what [Missing] names where a port did not say which manager runs there.
const WhatManager = "SMInfo"

// managers asks every port that says a subnet manager runs behind it.
func (s *sweep) managers(ctx context.Context) error {
	type managerPort struct {
		node *Node
		port *Port
	}
	var ask []managerPort
	for _, n := range s.found.Nodes {
		for _, p := range n.Ports {
			if p.Read && (!n.IsSwitch() || p.Number == 0) && p.PortInfo().CapabilityMask&mad.CapIsSM != 0 {
				ask = append(ask, managerPort{n, p})
			}
		}
	}
	return s.c.Batch(ctx, len(ask), func(i int) Request {
		return Request{To: Address{Route: ask[i].port.Route}, Attribute: mad.AttrSMInfo, MKey: s.keys.of(ask[i].port.GUID)}
	}, func(i int, a Answer, err error) {
		p := ask[i]
		if err != nil {
			s.missing(p.port.Neighbour, p.port.Route, WhatManager, err)
			return
		}
		s.found.Managers = append(s.found.Managers, Manager{At: End{p.node.GUID, p.port.Number},
			LID: p.port.PortInfo().LID, Info: mad.ParseSMInfo(&a.Data), Raw: a.Data})
	})
}
