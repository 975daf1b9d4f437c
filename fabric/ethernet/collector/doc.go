// Package collector reads what the leaves of an EVPN fabric announce, from the route
// reflectors, as one more BGP speaker. It is an embedded goBGP that takes routes in,
// installs none and announces none.
//
// It is one of the sources of an Ethernet fabric's read-back: what a leaf says
// of itself to all others, which the leaf's own tables don't show (routes of
// foreign route targets, a MAC that moved to another leaf, a next hop that is no
// leaf's). It sees no data plane: a port on the wrong bridge, or VXLAN packets
// that somebody forges, is for other sources.
//
// What it doesn't know it says. A reflector counts when its session is up and it
// has sent everything that it has (End-of-RIB, RFC 4724, section 2). When a
// session falls, what came over it is forgotten, and a leaf of which no
// reflector that counts holds a route is unseen: nobody can tell a leaf that has
// nothing to announce from one whose own session fell.
//
// A reflector hides from it what it does not send, and a leaf what it does not
// announce. Two ways in which a route passes by a BGP speaker that receives it
// are closed: paths that contain the collector's own AS are taken in, and the
// BGP identifier, by which a speaker ignores routes that it originated (RFC
// 4456, section 8), is random in each run unless the configuration names one.
//
// Several may run in one process, one a fabric: what goBGP keeps for the whole
// process, the options of its choice of routes, they all set to the same, and choose
// from nothing.
//
// Tried on FRR 8.4 and goBGP 4.8 as reflectors.
package collector
