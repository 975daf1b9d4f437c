package collector

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"bulkhead/fabric/ethernet"
	"bulkhead/lab/await"
)

var (
	leafA = netip.MustParseAddr("10.64.0.1")
	leafB = netip.MustParseAddr("10.64.0.2")
	rogue = netip.MustParseAddr("192.0.2.66")
	noIP  = netip.Addr{}
)

const hwA, hwB = "02:00:00:00:00:0a", "02:00:00:00:00:0b"

// loopback gives each test addresses of its own, so that they run side by side.
func loopback(t testing.TB, n byte) netip.Addr {
	h := uint32(2166136261)
	for _, c := range t.Name() {
		h = (h ^ uint32(c)) * 16777619
	}
	return netip.AddrFrom4([4]byte{127, byte(h>>8)%200 + 10, byte(h), n})
}

func collect(t testing.TB, c Config, speakers ...*speaker) *Collector {
	t.Helper()
	// A session must not fall because this machine has much else to do.
	c.AS, c.HoldTime, c.Retry = asn, cmp.Or(c.HoldTime, 3*time.Minute), cmp.Or(c.Retry, time.Second)
	for _, s := range speakers {
		s.start(t)
		c.Reflectors = append(c.Reflectors, s.reflector())
	}
	k, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// until waits for what must come to hold.
func until(t testing.TB, k *Collector, what string, holds func() bool) {
	t.Helper()
	if err := await.Until(t.Context(), what, func() (string, bool) { return fmt.Sprintf("sessions %+v", k.Sessions()), holds() }); err != nil {
		t.Fatal(err)
	}
}

func awaitState(t testing.TB, k *Collector, i int, s State) {
	t.Helper()
	until(t, k, fmt.Sprintf("session %d is %s", i, s), func() bool { return k.Sessions()[i].State == s })
}

func expect(t *testing.T, k *Collector, vtep netip.Addr, seen bool, want ...ethernet.Route) {
	t.Helper()
	got, isSeen := k.Routes(vtep)
	if isSeen != seen {
		t.Errorf("%s: seen %t, expected %t", vtep, isSeen, seen)
	}
	if len(got) == 0 && len(want) == 0 {
		return
	}
	slices.SortFunc(want, ethernet.CompareRoutes)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: routes\n%+v, expected\n%+v", vtep, got, want)
	}
}

func rt(vni uint32) ethernet.Target { return ethernet.Target(uint64(asn)<<32 | uint64(vni)) }

// TestRoutes: what a reflector passes on is held by next hop, with VNI, MAC,
// targets and originator, is replaced, moves and goes; a cursor tells of whom.
func TestRoutes(t *testing.T) {
	t.Parallel()
	a, both := macRoute(leafA, 4097, hwA, noIP), macRoute(leafA, 4097, hwA, netip.MustParseAddr("10.0.0.1"))
	originator, _ := bgp.NewPathAttributeOriginatorId(netip.MustParseAddr("10.64.255.1"))
	s := &speaker{addr: loopback(t, 1)}
	s.opening = slices.Concat(
		announce(leafA, []bgp.NLRI{a, both}, targetsOf(target(4097))),
		announce(leafA, []bgp.NLRI{floodRoute(leafA, 4097)}, targetsOf(target(4097)), floods(leafA, 4097)),
		announce(leafB, []bgp.NLRI{macRoute(leafB, 5000, hwB, noIP)}, originator, targetsOf(target(5000), target(4097), bgp.NewMacMobilityExtended(7, false))),
		endOfRIB())
	k := collect(t, Config{}, s)
	awaitState(t, k, 0, Synced)
	mac := ethernet.Route{Kind: 2, VNI: 4097, MAC: 0x02000000000a, Targets: []ethernet.Target{rt(4097)}, Originator: leafA}
	flood := ethernet.Route{Kind: 3, VNI: 4097, Targets: []ethernet.Target{rt(4097)}, Originator: leafA}
	cross := ethernet.Route{Kind: 2, VNI: 5000, MAC: 0x02000000000b, Targets: []ethernet.Target{rt(4097), rt(5000)}, Originator: netip.MustParseAddr("10.64.255.1")}
	expect(t, k, leafA, true, mac, flood)
	expect(t, k, leafB, true, cross)
	expect(t, k, rogue, false)
	vteps, cursor, all := k.Changed(0)
	if slices.SortFunc(vteps, netip.Addr.Compare); !all || !slices.Equal(vteps, []netip.Addr{leafA, leafB}) {
		t.Errorf("held %v", vteps)
	}
	if vteps, again, all := k.Changed(cursor); all || len(vteps) > 0 || again != cursor {
		t.Errorf("nothing happened, and %v changed", vteps)
	}
	if n := k.Sessions()[0].Routes; n != 4 {
		t.Errorf("%d routes, expected 4", n)
	}

	// The same again changes nothing; another MAC with a higher sequence at
	// somebody else's next hop does.
	s.say(t, announce(leafA, []bgp.NLRI{a}, targetsOf(target(4097))))
	s.say(t, announce(rogue, []bgp.NLRI{macRoute(rogue, 4097, hwA, noIP)}, targetsOf(target(4097), bgp.NewMacMobilityExtended(9, false))))
	until(t, k, "the hijack shows", func() bool { r, _ := k.Routes(rogue); return len(r) == 1 })
	if vteps, now, _ := k.Changed(cursor); !slices.Equal(vteps, []netip.Addr{rogue}) {
		t.Errorf("changed %v", vteps)
	} else {
		cursor = now
	}
	hijack := mac
	hijack.Originator = rogue
	expect(t, k, rogue, true, hijack)

	// The same route from another next hop moves.
	s.say(t, announce(leafB, []bgp.NLRI{floodRoute(leafA, 4097)}, targetsOf(target(4097)), floods(leafA, 4097)))
	until(t, k, "the route has moved", func() bool { r, _ := k.Routes(leafB); return len(r) == 2 })
	expect(t, k, leafA, true, mac)
	expect(t, k, leafB, true, cross, flood)

	// All withdrawn: unseen, not "no routes".
	s.say(t, withdraw(a, both))
	until(t, k, "leaf A has nothing left", func() bool { r, _ := k.Routes(leafA); return len(r) == 0 })
	expect(t, k, leafA, false)
	vteps, _, _ = k.Changed(cursor)
	if slices.SortFunc(vteps, netip.Addr.Compare); !slices.Equal(vteps, []netip.Addr{leafA, leafB}) {
		t.Errorf("changed %v", vteps)
	}
	if vteps, _, all := k.Changed(1 << 60); !all || len(vteps) != 2 {
		t.Errorf("a cursor that was never given: %v", vteps)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.announced > 0 {
		t.Errorf("it announced something, %d times", s.announced)
	}
}

// TestWhatGoesByASpeaker: routes that a BGP speaker ignores while the leaves take
// them are seen: with the own AS in the path, and with an originator that could
// be the collector's. Targets of other forms are kept apart from ours.
func TestWhatGoesByASpeaker(t *testing.T) {
	t.Parallel()
	guess, _ := bgp.NewPathAttributeOriginatorId(netip.MustParseAddr("127.0.0.1"))
	s := &speaker{addr: loopback(t, 1)}
	six, _ := bgp.NewIPv6AddressSpecificExtended(bgp.EC_SUBTYPE_ROUTE_TARGET, netip.MustParseAddr("2001:db8::1"), 7, true)
	s.opening = slices.Concat(
		bytesOf(bgp.NewBGPUpdateMessage(nil, attributes(leafA, []bgp.NLRI{macRoute(leafA, 4097, hwA, noIP)}, []uint32{asn, asn}, targetsOf(target(4097))), nil)),
		announce(leafB, []bgp.NLRI{macRoute(leafB, 4097, hwB, noIP)}, guess, targetsOf(bgp.NewFourOctetAsSpecificExtended(bgp.EC_SUBTYPE_ROUTE_TARGET, 70000, 9, true))),
		announce(rogue, []bgp.NLRI{macRoute(rogue, 4097, hwB, noIP)}, bgp.NewPathAttributeIP6ExtendedCommunities([]bgp.ExtendedCommunityInterface{six})),
		announce(rogue, []bgp.NLRI{segment()}),
		endOfRIB())
	k := collect(t, Config{}, s)
	awaitState(t, k, 0, Synced)
	if r, seen := k.Routes(leafA); !seen || len(r) != 1 {
		t.Errorf("own AS in the path: %v %t", r, seen)
	}
	expect(t, k, leafB, true, ethernet.Route{Kind: 2, VNI: 4097, MAC: 0x02000000000b, Targets: []ethernet.Target{Foreign}, Originator: netip.MustParseAddr("127.0.0.1")})
	expect(t, k, rogue, true, ethernet.Route{Kind: 2, VNI: 4097, MAC: 0x02000000000b, Targets: []ethernet.Target{Foreign}, Originator: rogue},
		ethernet.Route{Kind: 4, Originator: netip.IPv4Unspecified()})
	other := collect(t, Config{}, &speaker{addr: loopback(t, 2)})
	if k.config.RouterID == other.config.RouterID {
		t.Errorf("two collectors chose %s", k.config.RouterID)
	}
}

func segment() bgp.NLRI {
	rd, _ := bgp.NewRouteDistinguisherIPAddressAS(rogue, 1)
	n, err := bgp.NewEVPNEthernetSegmentRoute(rd, bgp.EthernetSegmentIdentifier{Value: make([]byte, 9)}, rogue)
	if err != nil {
		panic(err)
	}
	return n
}

// TestSessionFalls: one of two reflectors goes; the other still counts. When both
// are gone leaves are unseen; and what came back before End-of-RIB does not count.
func TestSessionFalls(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for BGP's timers: not in -short")
	}
	t.Parallel()
	update := announce(leafA, []bgp.NLRI{macRoute(leafA, 4097, hwA, noIP)}, targetsOf(target(4097)))
	one := &speaker{addr: loopback(t, 1), opening: slices.Concat(update, endOfRIB())}
	two := &speaker{addr: loopback(t, 2), opening: slices.Concat(update, endOfRIB())}
	k := collect(t, Config{}, one, two)
	awaitState(t, k, 0, Synced)
	awaitState(t, k, 1, Synced)
	mac := ethernet.Route{Kind: 2, VNI: 4097, MAC: 0x02000000000a, Targets: []ethernet.Target{rt(4097)}, Originator: leafA}
	expect(t, k, leafA, true, mac)
	_, cursor, _ := k.Changed(0)

	one.stop()
	until(t, k, "the session fell", func() bool { return k.Sessions()[0].Falls == 1 })
	expect(t, k, leafA, true, mac)
	if vteps, _, _ := k.Changed(cursor); !slices.Equal(vteps, []netip.Addr{leafA}) {
		t.Errorf("changed %v", vteps)
	}
	two.opening = update // no End-of-RIB this time
	two.hangUp()
	until(t, k, "it is back, and not done", func() bool { s := k.Sessions()[1]; return s.State == Syncing && s.Routes == 1 })
	expect(t, k, leafA, false, mac)
	if k.Complete() {
		t.Error("none has sent all that it has")
	}
	two.say(t, endOfRIB())
	awaitState(t, k, 1, Synced)
	expect(t, k, leafA, true, mac)
	if !k.Complete() {
		t.Error("a reflector has sent all that it has")
	}
	two.stop()
	until(t, k, "both are gone", func() bool { return k.Sessions()[1].State == Down })
	expect(t, k, leafA, false)
	if k.Complete() {
		t.Error("no reflector is there")
	}
	if s := k.Sessions()[1]; s.Falls != 2 || s.Reason == "" || s.Routes != 0 {
		t.Errorf("session %+v", s)
	}
}

// TestHoldTime: a reflector that falls silent, with its connection open, is down
// when the hold time has passed.
func TestHoldTime(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for BGP's timers: not in -short")
	}
	t.Parallel()
	s := &speaker{addr: loopback(t, 1), mute: true,
		opening: slices.Concat(announce(leafA, []bgp.NLRI{macRoute(leafA, 4097, hwA, noIP)}, targetsOf(target(4097))), endOfRIB())}
	k := collect(t, Config{HoldTime: 3 * time.Second}, s)
	awaitState(t, k, 0, Synced)
	until(t, k, "the hold time has passed", func() bool { return k.Sessions()[0].Falls >= 1 })
	if r := k.Sessions()[0].Reason; !strings.Contains(r, "hold time") {
		t.Errorf("reason %q", r)
	}
}

// TestNoEndOfRIB: of a reflector that sends none, quiet counts.
func TestNoEndOfRIB(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for BGP's timers: not in -short")
	}
	t.Parallel()
	s := &speaker{addr: loopback(t, 1), plain: true,
		opening: announce(leafA, []bgp.NLRI{macRoute(leafA, 4097, hwA, noIP)}, targetsOf(target(4097)))}
	k := collect(t, Config{Quiet: 2 * time.Second}, s)
	until(t, k, "the route is there", func() bool { return k.Sessions()[0].Routes == 1 })
	if _, seen := k.Routes(leafA); seen && time.Since(k.Sessions()[0].Since) < time.Second {
		t.Error("seen at once")
	}
	awaitState(t, k, 0, Synced)
	if _, seen := k.Routes(leafA); !seen {
		t.Error("quiet, and not seen")
	}
}

// TestLimit: a reflector that sends more routes than the limit is closed, and
// nothing that it sent counts or stays.
func TestLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for BGP's timers: not in -short")
	}
	t.Parallel()
	var many []bgp.NLRI
	for i := range 20 {
		many = append(many, macRoute(leafA, 4097, fmt.Sprintf("02:00:00:00:01:%02x", i), noIP))
	}
	s := &speaker{addr: loopback(t, 1), opening: slices.Concat(announce(leafA, many[:10], targetsOf(target(4097))), announce(leafA, many[10:], targetsOf(target(4097))), endOfRIB())}
	k := collect(t, Config{MaxRoutes: 15, Retry: 10 * time.Minute}, s)
	awaitState(t, k, 0, OverLimit)
	expect(t, k, leafA, false)
	if s := k.Sessions()[0]; s.Routes != 0 || !strings.Contains(s.Reason, "15") {
		t.Errorf("session %+v", s)
	}
}

// TestBrokenUpdates: what is malformed ends a session or a route (RFC 7606), and
// is never taken for a route.
func TestBrokenUpdates(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for BGP's timers: not in -short")
	}
	t.Parallel()
	good := announce(leafA, []bgp.NLRI{macRoute(leafA, 4097, hwA, noIP)}, targetsOf(target(4097)))
	var all []*speaker
	for i := 19; i < len(good) && len(all) < maxReflectors; i += 2 {
		bad := slices.Clone(good)
		bad[i] ^= 0xff
		all = append(all, &speaker{addr: loopback(t, byte(i)), opening: slices.Concat(bad, endOfRIB())})
	}
	k := collect(t, Config{}, all...)
	until(t, k, "all took the message", func() bool {
		return !slices.ContainsFunc(k.Sessions(), func(s Session) bool { return s.State != Synced && s.Falls == 0 })
	})
	own := ethernet.Route{Kind: 2, VNI: 4097, MAC: 0x02000000000a, Targets: []ethernet.Target{rt(4097)}, Originator: leafA}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, s := range k.config.Reflectors {
		at := 19 + 2*i
		held := false
		for _, r := range k.sessions[s.Address].feed.append(nil, k.table.vteps[leafA], map[route]bool{}) {
			held = held || reflect.DeepEqual(r, own)
		}
		if matters := at >= len(good)-8; held && matters {
			t.Errorf("byte %d is broken, and the route is as if it were not", at)
		}
	}
}

func TestConfig(t *testing.T) {
	ok := func() Config {
		return Config{AS: asn, Reflectors: []Reflector{{Address: netip.MustParseAddr("127.0.0.1")}}}
	}
	for name, spoil := range map[string]func(*Config){
		"AS":             func(c *Config) { c.AS = 0 },
		"router ID":      func(c *Config) { c.RouterID = netip.IPv6Loopback() },
		"port":           func(c *Config) { c.Port = 70000 },
		"hold time":      func(c *Config) { c.HoldTime = time.Second },
		"retry":          func(c *Config) { c.Retry = time.Millisecond },
		"quiet":          func(c *Config) { c.Quiet = -1 },
		"routes":         func(c *Config) { c.MaxRoutes = -1 },
		"0 reflectors":   func(c *Config) { c.Reflectors = nil },
		"no address":     func(c *Config) { c.Reflectors[0].Address = noIP },
		"twice":          func(c *Config) { c.Reflectors = append(c.Reflectors, c.Reflectors[0]) },
		"reflectors[0]:": func(c *Config) { c.Reflectors[0].Port = -1 },
	} {
		c := ok()
		spoil(&c)
		if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := ok()
	c.Listen = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if _, err := Start(t.Context(), c); err == nil {
		t.Error("listens on somebody else's address")
	}
	k, err := Start(t.Context(), ok())
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	k.Close()
}
