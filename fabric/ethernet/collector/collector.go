package collector

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"bulkhead/fabric/ethernet"
)

// Collector holds what route reflectors have sent. Its methods may be called
// from several goroutines at once.
type Collector struct {
	config Config
	bgp    *server.BgpServer
	stop   context.CancelFunc
	ended  sync.WaitGroup
	signal chan struct{}

	mu       sync.Mutex
	table    *table
	sessions map[netip.Addr]*session
	decoder  decoder
}

// session is one reflector's.
type session struct {
	Session
	feed  *feed
	eor   bool      // it said that it sends End-of-RIB
	moved time.Time // of the last UPDATE
}

// Session is the state of the session with one reflector.
type Session struct {
	Reflector netip.Addr `json:"reflector"`
	State     State      `json:"state"`
	Since     time.Time  `json:"since"` // of the state
	Routes    int        `json:"routes"`
	Falls     int        `json:"falls"`            // how often it was up and fell
	Reason    string     `json:"reason,omitempty"` // why it fell last, as goBGP says
}

// State is how far a session is.
type State string

// Only a Synced session counts.
const (
	Down      State = "down"
	Syncing   State = "syncing"    // up, but not all routes are here
	Synced    State = "synced"     // End-of-RIB has come
	OverLimit State = "over limit" // it sent more than Config.MaxRoutes, and was closed
)

// keptEmpty bounds the next hops without routes that are remembered for Changed.
const keptEmpty = 65536

// Start runs a collector until ctx ends or Close is called. It returns as soon as
// it listens and tries to connect: Sessions says how far it is. An error is of
// the configuration, or of the addresses to listen on.
func Start(ctx context.Context, c Config) (*Collector, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	var options []server.ServerOption
	if c.Log != nil {
		options = append(options, server.LoggerOption(c.Log, new(slog.LevelVar)))
	}
	k := &Collector{config: c, bgp: server.NewBgpServer(options...), signal: make(chan struct{}, 1),
		table: newTable(keptEmpty), sessions: map[netip.Addr]*session{}}
	now := time.Now()
	for _, r := range c.Reflectors {
		k.sessions[r.Address] = &session{Session: Session{Reflector: r.Address, State: Down, Since: now}, feed: newFeed()}
	}
	k.ended.Go(k.bgp.Serve)
	inner, stop := context.WithCancel(ctx)
	k.stop = stop
	if err := k.begin(inner); err != nil {
		stop()
		k.bgp.Stop()
		k.ended.Wait()
		return nil, err
	}
	k.ended.Go(func() { k.tend(inner) })
	return k, nil
}

// begin starts BGP. What is received is kept beside goBGP's table, which stays
// empty: an import policy refuses everything, so there is nothing to install, to
// choose from or to announce; an export policy refuses it once more.
func (k *Collector) begin(ctx context.Context) error {
	global := &api.Global{Asn: k.config.AS, RouterId: k.config.RouterID.String(), ListenPort: -1}
	if len(k.config.Listen) > 0 {
		global.ListenPort = int32(k.config.Port)
		for _, a := range k.config.Listen {
			global.ListenAddresses = append(global.ListenAddresses, a.String())
		}
	}
	if err := k.bgp.StartBgp(ctx, &api.StartBgpRequest{Global: global}); err != nil {
		return fmt.Errorf("collector: start BGP: %w", err)
	}
	for _, direction := range []api.PolicyDirection{api.PolicyDirection_POLICY_DIRECTION_IMPORT, api.PolicyDirection_POLICY_DIRECTION_EXPORT} {
		err := k.bgp.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
			Name: "global", Direction: direction, DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT}})
		if err != nil {
			return fmt.Errorf("collector: policy: %w", err)
		}
	}
	err := k.bgp.WatchEvent(ctx, server.WatchEventMessageCallbacks{OnPathUpdate: k.onRoutes, OnPathEor: k.onEndOfRIB, OnPeerUpdate: k.onPeer},
		server.WatchUpdate(false, "", ""), server.WatchEor(false), server.WatchPeer())
	if err != nil {
		return fmt.Errorf("collector: watch: %w", err)
	}
	for _, r := range k.config.Reflectors {
		if err := k.bgp.AddPeer(ctx, &api.AddPeerRequest{Peer: k.peer(r)}); err != nil {
			return fmt.Errorf("collector: reflector %s: %w", r.Address, err)
		}
	}
	return nil
}

func (k *Collector) peer(r Reflector) *api.Peer {
	evpn := &api.Family{Afi: api.Family_AFI_L2VPN, Safi: api.Family_SAFI_EVPN}
	seconds := func(d time.Duration) uint64 { return uint64(d / time.Second) }
	p := &api.Peer{
		Conf: &api.PeerConf{NeighborAddress: r.Address.String(), PeerAsn: r.AS, LocalAsn: k.config.AS, AuthPassword: r.Password, AllowOwnAsn: 255},
		Timers: &api.Timers{Config: &api.TimersConfig{HoldTime: seconds(k.config.HoldTime), KeepaliveInterval: max(1, seconds(k.config.HoldTime)/3),
			ConnectRetry: seconds(k.config.Retry), IdleHoldTimeAfterReset: seconds(k.config.Retry)}},
		Transport: &api.Transport{RemotePort: uint32(r.Port), PassiveMode: len(k.config.Listen) > 0},
		// Without this capability a reflector sends no End-of-RIB. What goBGP
		// then keeps of a session that fell, the collector forgets.
		GracefulRestart: &api.GracefulRestart{Enabled: true, HelperOnly: true, RestartTime: 1},
		AfiSafis: []*api.AfiSafi{{
			Config:            &api.AfiSafiConfig{Family: evpn, Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: true}},
			// goBGP's own limit of prefixes counts all of them at each UPDATE: with
			// it 20,000 routes take half a minute. See onRoutes.
		}},
	}
	if r.Local.IsValid() {
		p.Transport.LocalAddress = r.Local.String()
	}
	if r.AS != k.config.AS {
		p.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: 64}
	}
	return p
}

// Close ends all sessions and waits for it. It may be called twice.
func (k *Collector) Close() {
	k.stop()
	k.ended.Wait()
}

// tend does what no message of a reflector starts: it ends with ctx, takes quiet
// for End-of-RIB where none comes, and tries a reflector that was over the limit
// again.
func (k *Collector) tend(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.bgp.Stop()
			return
		case now := <-tick.C:
			for _, r := range k.overdue(now) {
				// An error says that the server has stopped.
				_ = k.bgp.EnablePeer(ctx, &api.EnablePeerRequest{Address: r.String()})
			}
		}
	}
}

// overLimitRetry is how long a reflector that sent too much is left alone.
const overLimitRetry = time.Minute

func (k *Collector) overdue(now time.Time) (again []netip.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for a, s := range k.sessions {
		switch {
		case s.State == Syncing && !s.eor && now.Sub(s.moved) > k.config.Quiet:
			k.synced(s)
		case s.State == OverLimit && now.Sub(s.Since) > overLimitRetry:
			s.State, s.Since = Down, now
			again = append(again, a)
		}
	}
	return again
}

func (k *Collector) onRoutes(paths []*apiutil.Path, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range paths {
		s := k.sessions[p.PeerAddress.Unmap()]
		if s == nil || s.State == Down || s.State == OverLimit {
			continue
		}
		s.moved = at
		id, next, r, ok := k.decoder.decode(p)
		switch {
		case !ok:
		case p.Withdrawal:
			k.table.drop(s.feed, id)
		default:
			k.table.put(s.feed, id, next, r)
		}
		if len(s.feed.at) > k.config.MaxRoutes {
			k.fell(s, OverLimit, fmt.Sprintf("more than %d routes", k.config.MaxRoutes))
			k.ended.Go(func() { // not from here, where goBGP waits
				// An error says that the server has stopped.
				_ = k.bgp.DisablePeer(context.Background(), &api.DisablePeerRequest{Address: s.Reflector.String(), Communication: s.Reason})
			})
		}
	}
	k.notify()
}

// fell ends a session's time: what came over it is forgotten.
func (k *Collector) fell(s *session, to State, reason string) {
	s.Falls++
	s.State, s.Since, s.Reason = to, time.Now(), reason
	k.table.forget(s.feed)
	k.notify()
}

func (k *Collector) onEndOfRIB(p *apiutil.Path, _ time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.sessions[p.PeerAddress.Unmap()]; s != nil && p.Family == bgp.RF_EVPN && s.State == Syncing {
		k.synced(s)
	}
}

func (k *Collector) synced(s *session) {
	s.State, s.Since = Synced, time.Now()
	k.table.mark(s.feed)
	k.notify()
}

func (k *Collector) onPeer(e *apiutil.WatchEventMessage_PeerEvent, _ time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[e.Peer.State.NeighborAddress.Unmap()]
	if s == nil {
		return
	}
	switch up := e.Peer.State.SessionState == bgp.BGP_FSM_ESTABLISHED; {
	case up && s.State == Down:
		now := time.Now()
		s.State, s.Since, s.moved = Syncing, now, now
		s.eor = slices.ContainsFunc(e.Peer.State.RemoteCap, func(c bgp.ParameterCapabilityInterface) bool {
			return c.Code() == bgp.BGP_CAP_GRACEFUL_RESTART
		})
	case !up && (s.State == Syncing || s.State == Synced):
		k.fell(s, Down, reason(&e.Peer.State))
	}
}

func reason(s *apiutil.PeerState) string {
	switch {
	case s.DisconnectReason == api.PeerState_DISCONNECT_REASON_GRACEFUL_RESTART:
		return "the connection was lost, or nothing came for the hold time"
	case s.DisconnectMessage != "":
		return s.DisconnectMessage
	}
	return s.DisconnectReason.String()
}

func (k *Collector) notify() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// Signal receives a value after something changed; several changes may give one.
func (k *Collector) Signal() <-chan struct{} { return k.signal }

// Routes returns what reflectors hold of one next hop, and whether that is known
// to be all: a session that counts holds some of it. What sessions that are not
// done yet have sent is among the routes. Routes that say the same are one: of two
// reflectors, or of one MAC with several addresses.
// Not seen is unknown, and never "no routes". Ascending by ethernet.CompareRoutes.
// Cost: O(n log n) in the routes of the next hop.
func (k *Collector) Routes(addr netip.Addr) (routes []ethernet.Route, seen bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.table.vteps[addr.Unmap()]
	if v == nil || v.count == 0 {
		return nil, false
	}
	routes = make([]ethernet.Route, 0, v.count)
	twice := make(map[route]bool, v.count)
	for _, s := range k.sessions {
		routes = s.feed.append(routes, v, twice)
		_, some := s.feed.heads[v]
		seen = seen || some && s.State == Synced
	}
	slices.SortFunc(routes, ethernet.CompareRoutes)
	return routes, seen
}

// Changed returns the next hops whose routes, or whether they are seen, changed
// after a cursor, and the cursor to give next time. For 0, and for a cursor that
// is too old or that this collector never gave, all is true: those are the next
// hops that have routes, and no other has any. A next hop that is no leaf's is
// among them. Cost: O(those).
func (k *Collector) Changed(since uint64) (vteps []netip.Addr, cursor uint64, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	vteps, all = k.table.since(since)
	return vteps, k.table.clock, all
}

// Complete reports whether some reflector's session counts: then a next hop
// without routes announces nothing, or has lost its own session.
func (k *Collector) Complete() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sessions {
		if s.State == Synced {
			return true
		}
	}
	return false
}

// All reports whether every reflector's session counts: then a next hop without routes
// announces nothing to anybody.
func (k *Collector) All() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sessions {
		if s.State != Synced {
			return false
		}
	}
	return len(k.sessions) > 0
}
