package linux

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// This file decodes what iproute2 says, as JSON, of links, forwarding entries and
// queueing disciplines. Fields that are not looked at are left out.
//
// Lenient JSON in this file: what iproute2 prints grows with its releases.

// shownLink is an interface of "ip -j -d addr show".
type shownLink struct {
	Index    int             `json:"ifindex"`
	Name     string          `json:"ifname"`
	MTU      int             `json:"mtu"`
	Lower    string          `json:"link"` // of a device on top of another
	Master   string          `json:"master"`
	XDP      json.RawMessage `json:"xdp"`
	Flags    []string        `json:"flags"`
	Info     shownInfo       `json:"linkinfo"`
	Adresses []struct {
		Family string `json:"family"`
		Local  string `json:"local"`
		Bits   int    `json:"prefixlen"`
	} `json:"addr_info"`
}

type shownInfo struct {
	Kind      string `json:"info_kind"`
	SlaveKind string `json:"info_slave_kind"`
	Data      struct {
		// Of a bridge.
		VLANFiltering int `json:"vlan_filtering"`
		// Of a VXLAN device.
		ID       uint32 `json:"id"`
		Local    string `json:"local"`
		Remote   string `json:"remote"`
		Group    string `json:"group"`
		Port     int    `json:"port"`
		Learning bool   `json:"learning"`
		External bool   `json:"external"`
		Proxy    bool   `json:"proxy"`
	} `json:"info_data"`
	Slave struct {
		State    string `json:"state"`
		Isolated bool   `json:"isolated"`
		Locked   bool   `json:"locked"`
		Learning bool   `json:"learning"`
	} `json:"info_slave_data"`
}

func decodeLinks(data []byte) ([]shownLink, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("ip addr: %w", err)
	}
	links := make([]shownLink, 0, len(raw))
	for i, r := range raw {
		var kind struct {
			Info struct {
				Kind string `json:"info_kind"`
			} `json:"linkinfo"`
		}
		if err := json.Unmarshal(r, &kind); err != nil {
			return nil, fmt.Errorf("ip addr: link %d: %w", i, err)
		}
		var l shownLink
		err := json.Unmarshal(r, &l)
		if err != nil && kind.Info.Kind != "bridge" && kind.Info.Kind != "vxlan" {
			// Other kinds may have fields of the same names with other types.
			err = decodePlain(r, &l)
		}
		if err != nil {
			return nil, fmt.Errorf("ip addr: link %d: %w", i, err)
		}
		if l.Name == "" {
			continue // iproute2 leaves an empty object for what it filtered
		}
		links = append(links, l)
	}
	return links, nil
}

// decodePlain decodes a link without the details of its kind.
func decodePlain(r json.RawMessage, l *shownLink) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(r, &fields); err != nil {
		return err
	}
	var info map[string]json.RawMessage
	if err := json.Unmarshal(fields["linkinfo"], &info); err != nil {
		return err
	}
	delete(info, "info_data")
	if info["info_slave_kind"] != nil && string(info["info_slave_kind"]) != `"bridge"` {
		delete(info, "info_slave_data")
	}
	var err error
	if fields["linkinfo"], err = json.Marshal(info); err != nil {
		return err
	}
	if r, err = json.Marshal(fields); err != nil {
		return err
	}
	*l = shownLink{}
	return json.Unmarshal(r, l)
}

// shownEntry is a forwarding entry of "bridge -j fdb show".
type shownEntry struct {
	MAC       string   `json:"mac"`
	Interface string   `json:"ifname"`
	To        string   `json:"dst"`
	Master    string   `json:"master"`
	Flags     []string `json:"flags"`
	State     string   `json:"state"`
}

func decodeEntries(data []byte) (entries []shownEntry, err error) {
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, fmt.Errorf("bridge fdb: %w", err)
	}
	return entries, nil
}

// decodeQueues returns the interfaces whose queueing disciplines could copy or steer
// packets: all but those that hold no filters.
func decodeQueues(data []byte) (map[string]bool, error) {
	var list []struct {
		Kind   string `json:"kind"`
		Device string `json:"dev"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("tc qdisc: %w", err)
	}
	steer := map[string]bool{}
	for _, q := range list {
		switch q.Kind {
		case "noqueue", "mq", "pfifo_fast", "pfifo", "bfifo":
		default:
			steer[q.Device] = true
		}
	}
	return steer, nil
}

// parseMAC reads a MAC as iproute2 and lldpd write it; ok is false for anything else.
func parseMAC(text string) (mac uint64, ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 6 {
		return 0, false
	}
	for _, p := range parts {
		v, err := strconv.ParseUint(p, 16, 8)
		if err != nil || len(p) != 2 {
			return 0, false
		}
		mac = mac<<8 | v
	}
	return mac, true
}

func parseIPv4(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Is4()
}
