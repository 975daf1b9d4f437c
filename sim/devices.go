package sim

import (
	"strings"

	"bulkhead/site"
)

// shape is the devices of a node but for its serials, which nearly all nodes of
// a kind share: 50,000 explicit lists would take half a gigabyte.
type shape struct {
	kind    string
	devices []site.Device // serials without the chassis' part
}

// inventory is the devices of all nodes: one shape and one chassis a node.
type inventory struct {
	shapes []shape
	of     []uint32 // by node: its shape
	prefix []string // by node: what the serials of its devices begin with
	known  map[string]uint32
}

func (v *inventory) add(kind string, n *site.NodeInventory) {
	devices := n.WipeDevices()
	prefix := ""
	if len(devices) > 0 {
		prefix = devices[0].Serial
	}
	for i := range devices {
		for !strings.HasPrefix(devices[i].Serial, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	var key strings.Builder
	key.WriteString(kind)
	for i := range devices {
		d := &devices[i]
		d.Serial = d.Serial[len(prefix):]
		for _, text := range [...]string{d.Class, d.Model, d.Serial, d.Firmware} {
			key.WriteByte(0)
			key.WriteString(text)
		}
	}
	index, ok := v.known[key.String()]
	if !ok {
		index = uint32(len(v.shapes))
		v.known[key.String()] = index
		for i := range devices {
			d := &devices[i]
			d.Class, d.Model, d.Serial, d.Firmware = strings.Clone(d.Class), strings.Clone(d.Model), strings.Clone(d.Serial), strings.Clone(d.Firmware)
		}
		v.shapes = append(v.shapes, shape{kind, devices})
	}
	v.of = append(v.of, index)
	v.prefix = append(v.prefix, strings.Clone(prefix))
}

// devices returns the devices of a node, in canonical order.
func (v *inventory) devices(n site.Index) []site.Device {
	shape := v.shapes[v.of[n]].devices
	out := make([]site.Device, len(shape))
	for i := range shape {
		out[i] = shape[i]
		out[i].Serial = v.prefix[n] + shape[i].Serial
	}
	return out
}
