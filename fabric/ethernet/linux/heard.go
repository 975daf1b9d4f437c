package linux

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric/ethernet"
)

// This file decodes what bgpd and lldpd say.
//
// Lenient JSON in this file: their answers grow with their releases.

// shownBGP is what bgpd says of VNIs and neighbours.
type shownBGP struct {
	vnis   map[uint32]shownTargets
	routed bool // some VNI is routed (layer 3)
	peers  []netip.Addr
	remote map[remoteMAC]netip.Addr // where zebra put what BGP gave it
}

// remoteMAC is a MAC of a VNI that is behind another leaf.
type remoteMAC struct {
	vni uint32
	mac uint64
}

// bgpShows are the commands whose answers decodeBGP reads, in their order. The last
// is zebra's.
var bgpShows = []string{"show bgp l2vpn evpn vni json", "show bgp vrf all summary json", "show bgp peer-group json", "show evpn mac vni all json"}

type shownTargets struct{ imports, exports []ethernet.Target }

// strangeTarget stands for a route target of a form that is not used here.
const strangeTarget = ethernet.Target(1<<48 - 1)

// decodeBGP reads the answers to bgpShows, one after the other.
func decodeBGP(data []byte) (*shownBGP, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	answers := make([]map[string]json.RawMessage, len(bgpShows))
	for i := range answers {
		if err := d.Decode(&answers[i]); err != nil {
			return nil, fmt.Errorf("FRR: %s: %w", bgpShows[i], err)
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("FRR: more answers than questions")
	}
	vnis, summary := answers[0], answers[1]
	b := &shownBGP{vnis: map[uint32]shownTargets{}, remote: map[remoteMAC]netip.Addr{}}
	for name, raw := range vnis {
		vni, err := strconv.ParseUint(name, 10, 24)
		if err != nil {
			continue // a word about all of them
		}
		var v struct {
			Type                 string
			ImportRTs, ExportRTs []string
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("bgpd: VNI %d: %w", vni, err)
		}
		b.routed = b.routed || v.Type != "L2"
		b.vnis[uint32(vni)] = shownTargets{targets(v.ImportRTs), targets(v.ExportRTs)}
	}
	seen := map[netip.Addr]bool{}
	for vrf, raw := range summary {
		var families map[string]json.RawMessage
		if err := json.Unmarshal(raw, &families); err != nil {
			return nil, fmt.Errorf("bgpd: summary of VRF %.40q: %w", vrf, err)
		}
		for _, raw := range families {
			var f struct {
				Peers map[string]json.RawMessage `json:"peers"`
			}
			if json.Unmarshal(raw, &f) != nil {
				continue // a word about the VRF
			}
			for peer := range f.Peers {
				a, ok := parseIPv4(peer)
				if !ok {
					// By interface name or IPv6: nobody whom a leaf should speak with.
					a = netip.IPv4Unspecified()
				}
				seen[a] = true
			}
		}
	}
	for group, raw := range answers[2] {
		var g struct {
			DynamicRanges map[string]struct{ Ranges []string }
		}
		if err := json.Unmarshal(raw, &g); err != nil {
			return nil, fmt.Errorf("bgpd: peer group %.40q: %w", group, err)
		}
		for _, family := range g.DynamicRanges {
			for _, r := range family.Ranges {
				// Whoever is in the range may come: its first address stands for all.
				p, err := netip.ParsePrefix(r)
				if err != nil || !p.Addr().Is4() {
					p = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
				}
				seen[p.Addr()] = true
			}
		}
	}
	if err := b.remotes(answers[3]); err != nil {
		return nil, err
	}
	for a := range seen {
		b.peers = append(b.peers, a)
	}
	slices.SortFunc(b.peers, netip.Addr.Compare)
	return b, nil
}

// remotes reads zebra's MACs behind other leaves.
func (b *shownBGP) remotes(answer map[string]json.RawMessage) error {
	for name, raw := range answer {
		vni, err := strconv.ParseUint(name, 10, 24)
		if err != nil {
			continue
		}
		var v struct {
			MACs map[string]struct{ Type, RemoteVtep string }
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("zebra: MACs of VNI %d: %w", vni, err)
		}
		for text, m := range v.MACs {
			mac, ok := parseMAC(text)
			if to, known := parseIPv4(m.RemoteVtep); ok && known && m.Type == "remote" {
				b.remote[remoteMAC{uint32(vni), mac}] = to
			}
		}
	}
	return nil
}

// targets reads route targets, ascending; those of other forms become strangeTarget.
func targets(texts []string) []ethernet.Target {
	var out []ethernet.Target
	for _, text := range texts {
		as, value, _ := strings.Cut(text, ":")
		a, err := strconv.ParseUint(as, 10, 16)
		v, err2 := strconv.ParseUint(value, 10, 32)
		t := ethernet.Target(a<<32 | v)
		if err != nil || err2 != nil || t == 0 {
			t = strangeTarget
		}
		out = append(out, t)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shownNeighbour is who announces itself at an interface.
type shownNeighbour struct {
	mac  uint64
	more bool // several do, or one that says no MAC
}

// decodeLLDP reads "lldpctl -f json0": by interface, the MAC that its neighbour gives
// as its port.
func decodeLLDP(data []byte) (map[string]shownNeighbour, error) {
	var doc struct {
		LLDP []struct {
			Interface []struct {
				Name string `json:"name"`
				Port []struct {
					ID []struct {
						Type  string `json:"type"`
						Value string `json:"value"`
					} `json:"id"`
				} `json:"port"`
			} `json:"interface"`
		} `json:"lldp"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("lldpctl: %w", err)
	}
	out := map[string]shownNeighbour{}
	for _, l := range doc.LLDP {
		for _, i := range l.Interface {
			n, again := out[i.Name]
			n.more = n.more || again
			for _, p := range i.Port {
				for _, id := range p.ID {
					mac, ok := parseMAC(id.Value)
					if id.Type != "mac" || !ok || n.mac != 0 && n.mac != mac {
						n.more = true
						continue
					}
					n.mac = mac
				}
			}
			out[i.Name] = n
		}
	}
	return out, nil
}
