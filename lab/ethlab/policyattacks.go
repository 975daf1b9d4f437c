package ethlab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
)

// policyAttacks are on what reflectors pass on, and on how leaves treat traffic
// classes.
func (l *Lab) policyAttacks() []stage.Attack {
	// list changes the list of a leaf's targets at a reflector by hand.
	list := func(ctx context.Context, no string, leaf string, vni uint32) error {
		_, err := l.Net.Vtysh(ctx, l.spine(), "configure terminal",
			fmt.Sprintf("%sbgp extcommunity-list standard from-%s permit rt %s", no, l.Net.Plan.Device(leaf).Loopback, ethernet.TargetOf(vni)))
		return err
	}
	return []stage.Attack{
		{Name: "a leaf announces the rival's VNI, of which it has no port", By: "a leaf that was taken over", Ends: stage.Prevented, Action: "the reflectors pass it on to no leaf: no lease gives that leaf the VNI; the next look has it removed",
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v, leaf, err := l.leafWithout()
				if err != nil {
					return nil, err
				}
				vtep := l.Net.Plan.Device(leaf).Loopback
				undo := func(ctx context.Context) error { // as a look does that finds it there for nobody
					return errors.Join(l.undo(leaf, fmt.Sprintf("ip link del vni%d", v.vni))(ctx), l.undo(leaf, fmt.Sprintf("ip link del bd%d", v.vni))(ctx))
				}
				if err := l.ensureBridge(ctx, leaf, v.vni); err != nil {
					return undo, err
				}
				// The control: it is announced, and reflectors have heard it.
				err = await.True(ctx, "the collector to hear the rival's VNI", func() bool {
					routes, _ := l.Collector.Routes(vtep)
					return slices.ContainsFunc(routes, func(r ethernet.Route) bool { return r.VNI == v.vni })
				})
				if err != nil {
					return undo, err
				}
				time.Sleep(500 * time.Millisecond) // what is passed on is so within bgpd's 100 ms
				out, err := l.Net.Vtysh(ctx, v.leaf, "show bgp l2vpn evpn vni "+fmt.Sprint(v.vni)+" json", fmt.Sprintf("show evpn vni %d json", v.vni))
				if err == nil && strings.Contains(out, vtep.String()) {
					err = fmt.Errorf("the rival's leaf floods to %s: %.400s", vtep, out)
				}
				return undo, err
			}},
		{Name: "a reflector lets a leaf announce the rival's target", By: "an administrator of a spine", Ends: stage.Detected, Check: "reflectors pass on what was ordered only", Action: "nothing new is handed over; ordered again as soon as it is seen",
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v, leaf, err := l.leafWithout()
				if err != nil {
					return nil, err
				}
				return nothing, list(ctx, "", leaf, v.vni)
			}},
		{Name: "a reflector keeps nothing from leaves", By: "an administrator of a spine", Ends: stage.Detected, Check: "reflectors pass on what was ordered only", Action: "nothing new is handed over; put back as soon as it is seen",
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				return nothing, l.openReflector(ctx)
			}},
		{Name: "a reflector stops a tenant's routes", By: "an administrator of a spine", Ends: stage.Detected, Check: "wrong-policy", Action: "ordered again; nothing leaks, so nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return nothing, list(ctx, "no ", v.leaf, v.vni)
			}},
		{Name: "a leaf announces its VNIs no more (no advertise-all-vni)", By: "an administrator of the leaf", Ends: stage.Detected, Check: "unannounced", Action: "written again; nothing leaks, so nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				return nothing, l.configure(ctx, l.victims()[0].leaf, "address-family l2vpn evpn", "no advertise-all-vni")
			}},
		{Name: "a leaf takes no routes any more (its inbound policy is turned over)", By: "an administrator of the leaf", Ends: stage.Detected, Check: "unlearnt", Action: "people put it back where the policy is not the agent's, as here; else the agent does, before anything is unlearnt", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				leaf := l.victims()[0].leaf
				// An agent whose the policy is puts it back at the next look.
				owned := func(ctx context.Context, policy bool) error {
					c := l.Net.AgentConfig(leaf)
					c.Policy = policy
					if err := l.Net.ConfigureAgent(leaf, c); err != nil {
						return err
					}
					return l.Net.RestartAgent(ctx, leaf)
				}
				undo := func(ctx context.Context) error {
					if err := l.configure(ctx, leaf, "address-family l2vpn evpn", "neighbor fabric route-map one-target in"); err != nil {
						return err
					}
					if _, err := l.Net.Vtysh(ctx, leaf, "configure terminal", "no route-map blind"); err != nil {
						return err
					}
					return owned(ctx, true)
				}
				if err := owned(ctx, false); err != nil {
					return undo, err
				}
				if _, err := l.Net.Vtysh(ctx, leaf, "configure terminal", "route-map blind deny 10"); err != nil {
					return undo, err
				}
				return undo, l.configure(ctx, leaf, "address-family l2vpn evpn", "neighbor fabric route-map blind in")
			}},
		{Name: "a leaf's queues mark congestion later than planned (ECN)", By: "an administrator of the leaf", Ends: stage.Detected, Check: "wrong-class", Action: "written again; nothing leaks, so nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				return nothing, l.requeue(l.victims()[0].leaf, `"ecn_min": 150000`, `"ecn_min": 1400000`)
			}},
		{Name: "a leaf's port takes smaller packets than planned (MTU)", By: "an administrator of the leaf", Ends: stage.Detected, Check: "wrong-class", Action: "written again; nothing leaks, so nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return nothing, l.at(ctx, v.leaf, "ip link set %s mtu 1500", v.swp())
			}},
		{Name: "a leaf's lossless class is not paused (PFC)", By: "an administrator of the leaf", Ends: stage.Detected, Check: "wrong-class", Action: "written again; nothing leaks, so nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				return nothing, l.requeue(l.victims()[0].leaf, `"pfc": true`, `"pfc": false`)
			}},
	}
}

// openReflector takes away what keeps routes that nobody ordered from leaves.
func (l *Lab) openReflector(ctx context.Context) error {
	_, err := l.Net.Vtysh(ctx, l.spine(), "configure terminal", "no route-map to-leaves deny 5")
	return err
}

// spine is the first reflector.
func (l *Lab) spine() string { return l.Net.Plan.Spines(FabricID)[0].Name }

// leafWithout returns a node of the second rival, and a leaf of its rail at which that
// rival has no port.
func (l *Lab) leafWithout() (v victim, leaf string, err error) {
	theirs := map[string]bool{}
	for _, n := range l.Nodes(stage.Tenants[1]) {
		v = l.victim(n, stage.Tenants[1])
		theirs[v.leaf] = true
	}
	for _, n := range l.Nodes(stage.Tenants[0]) {
		if ours := l.victim(n, stage.Tenants[0]); !theirs[ours.leaf] {
			return v, ours.leaf, nil
		}
	}
	return v, "", fmt.Errorf("%s has a port at every leaf of rail 0", stage.Tenants[1])
}

// requeue edits the file by which a leaf's queues are set up, in all places.
func (l *Lab) requeue(leaf, from, to string) error {
	path := filepath.Join(l.Net.Dir, leaf, "state", "queues.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	edited := strings.ReplaceAll(string(data), from, to)
	if edited == string(data) {
		return fmt.Errorf("%s does not say %s", path, from)
	}
	return os.WriteFile(path, []byte(edited), 0o600)
}
