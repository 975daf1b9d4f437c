package discovered

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"bulkhead/site/draft"
)

// LLDP reads one leaf's dump of either form. name is the leaf's: a dump does not
// say whose it is.
func LLDP(name, file string, data []byte) (*Leaf, error) {
	l := &Leaf{File: file, Name: name}
	trimmed := bytes.TrimLeft(data, " \t\r\n\xef\xbb\xbf")
	var err error
	switch {
	case len(trimmed) == 0:
		return nil, &Error{file, 0, "", "it is empty: " + rightLLDP}
	case trimmed[0] == '{':
		err = l.readJSON(data)
	case bytes.HasPrefix(trimmed, []byte("lldp.")):
		l.readKeys(data)
	case trimmed[0] == '<':
		return nil, &Error{file, 1, "", "it seems to be XML (lldpctl -f xml): " + rightLLDP}
	case bytes.HasPrefix(trimmed, []byte("----")), bytes.Contains(trimmed[:min(len(trimmed), 4096)], []byte("LLDP neighbors:")):
		return nil, &Error{file, 1, "", "it seems to be what lldpctl prints for people: " + rightLLDP}
	case bytes.Contains(trimmed[:min(len(trimmed), 4096)], []byte("RemoteDevice")), bytes.HasPrefix(trimmed, []byte("Capability codes")):
		return nil, &Error{file, 1, "", "it seems to be a table (show lldp table): " + rightLLDP}
	default:
		if form := draft.OtherForm(data, "lldp"); form != "" {
			return nil, &Error{file, 1, "", form + "; here " + rightLLDP}
		}
		return nil, &Error{file, 1, "", fmt.Sprintf("begins with %.20q: %s", trimmed, rightLLDP)}
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

const rightLLDP = "expected the output of lldpctl -f json or lldpctl -f keyvalue, on the leaf"

// neighbour is what one entry says, from either form.
type neighbour struct {
	line                int
	port                string
	via                 string
	name, descr         string // of the chassis
	portKind, portValue string // port id: "mac", "ifname", "local"
	portName            string // description
}

// take makes a link of an entry, or a note.
func (l *Leaf) take(n neighbour) {
	switch {
	case n.port == "":
		l.note(n.line, "a neighbour at no interface: left out")
		return
	case n.via != "" && !strings.EqualFold(n.via, "LLDP"):
		l.note(n.line, "%s is known by %s, not LLDP: left out", n.port, n.via)
		return
	case n.name == "":
		l.note(n.line, "the neighbour at %s does not say its name: left out", n.port)
		return
	}
	link := Link{Line: n.line, Port: n.port, Host: n.name, NIC: n.portName, DPU: card.MatchString(n.descr) || card.MatchString(n.name)}
	switch n.portKind {
	case "mac":
		mac, err := parseMAC(n.portValue)
		if err != nil {
			l.note(n.line, "interface %s: port id %.40q: %v: taken without an address", n.port, n.portValue, err)
		}
		link.MAC = mac
	case "ifname":
		if link.NIC == "" || switchPort(n.portValue) {
			link.NIC = n.portValue
		}
	}
	l.Links = append(l.Links, link)
}

// card tells a DPU, a card in a host that speaks for itself, by what it says of itself.
var card = regexp.MustCompile(`(?i)bluefield|(^|[^a-z])(bf\d|dpu)`)

// parseMAC reads an address as people write it: with colons, dashes or dots, in
// either case.
func parseMAC(text string) (mac uint64, err error) {
	digits := 0
	for i, c := range []byte(strings.ToLower(text)) {
		switch {
		case c >= '0' && c <= '9':
			mac = mac<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			mac = mac<<4 | uint64(c-'a'+10)
		case (c == ':' || c == '-' || c == '.') && i > 0 && digits%2 == 0:
			continue
		default:
			return 0, fmt.Errorf("expected a MAC such as 0c:42:a1:00:00:01")
		}
		if digits++; digits > 12 {
			break
		}
	}
	switch {
	case digits != 12:
		return 0, fmt.Errorf("expected a MAC of 12 hexadecimal digits")
	case mac == 0 || mac>>40&1 == 1:
		return 0, fmt.Errorf("expected the MAC of one port: this one is zero or a group's")
	}
	return mac, nil
}

// macText writes an address as people do.
func macText(mac uint64) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", byte(mac>>40), byte(mac>>32), byte(mac>>24), byte(mac>>16), byte(mac>>8), byte(mac))
}

// readJSON reads lldpctl -f json. One interface is an object instead of a list,
// and a chassis is named by its key, or has no name.
func (l *Leaf) readJSON(data []byte) error {
	top, err := parse(l.File, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return err
	}
	lldp := top.get("lldp")
	if lldp == nil || lldp.kind != '{' {
		hint, seems := "", "no \"lldp\" object: "
		if top.get("PORT") != nil || top.get("DEVICE_METADATA") != nil {
			seems = "it seems to be a SONiC config_db.json: import it with --format sonic; here "
		}
		if lldp != nil && lldp.kind == '[' {
			hint = "; is it -f json0? use -f json"
		}
		return &Error{l.File, top.line, "", seems + rightLLDP + hint}
	}
	for _, m := range lldp.members {
		if m.key != "interface" {
			continue
		}
		list := m.value.items
		if m.value.kind == '{' {
			list = []*tree{m.value}
		}
		for _, item := range list {
			if item.kind != '{' {
				l.note(item.line, "an interface that is no object: left out")
				continue
			}
			for _, i := range item.members {
				// One interface may have a list of neighbours.
				if i.value.kind == '[' {
					for _, one := range i.value.items {
						l.readInterface(i.key, one)
					}
					continue
				}
				l.readInterface(i.key, i.value)
			}
		}
	}
	return nil
}

func (l *Leaf) readInterface(port string, t *tree) {
	n := neighbour{line: t.line, port: port, via: t.get("via").said()}
	if t.kind != '{' || t.get("chassis") == nil {
		l.note(t.line, "interface %s: no chassis: nobody is heard there, left out", port)
		return
	}
	chassis := t.get("chassis")
	n.descr = chassis.get("descr").said()
	n.name = strings.TrimSpace(chassis.get("name").said())
	if chassis.get("id") == nil {
		for _, m := range chassis.members {
			if m.value.get("id") != nil {
				n.name, n.descr = strings.TrimSpace(m.key), m.value.get("descr").said()
				break
			}
		}
	}
	p := t.get("port")
	n.portKind, n.portValue = p.get("id").get("type").said(), p.get("id").get("value").said()
	n.portName = strings.TrimSpace(p.get("descr").said())
	l.take(n)
}

// readKeys reads lldpctl -f keyvalue: lldp.INTERFACE.WHAT=VALUE. Interfaces may
// have dots in their names, a description may go on in lines of its own, and one
// interface with two neighbours is said twice, each beginning with "via".
func (l *Leaf) readKeys(data []byte) {
	var current *neighbour
	flush := func() {
		if current != nil {
			l.take(*current)
		}
		current = nil
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if len(line) > maxText {
			l.note(number, "a line of %d bytes, expected at most %d: left out", len(line), maxText)
			continue
		}
		rest, ours := strings.CutPrefix(line, "lldp.")
		if !ours {
			if current == nil && strings.TrimSpace(line) != "" {
				l.note(number, "%.40q: left out, expected lldp.INTERFACE.WHAT=VALUE", line)
			}
			continue // a description goes on
		}
		key, value, found := strings.Cut(rest, "=")
		if !found {
			l.note(number, "%.40q: left out, expected lldp.INTERFACE.WHAT=VALUE", line)
			continue
		}
		port, what := splitKey(key)
		if what == "" {
			continue // of no interest
		}
		if what == "via" || current == nil || current.port != port {
			flush()
			current = &neighbour{line: number, port: port}
		}
		value = strings.TrimSpace(value)
		switch what {
		case "via":
			current.via = value
		case "chassis.name":
			current.name = value
		case "chassis.descr":
			current.descr = value
		case "port.mac", "port.ifname", "port.local":
			current.portKind, current.portValue = strings.TrimPrefix(what, "port."), value
			current.line = number
		case "port.descr":
			current.portName = value
		}
	}
	flush()
}

// splitKey tells an interface, which may have dots, from what is said of it.
func splitKey(key string) (port, what string) {
	for _, w := range []string{"via", "chassis.name", "chassis.descr", "port.mac", "port.ifname", "port.local", "port.descr"} {
		if p, ok := strings.CutSuffix(key, "."+w); ok && p != "" {
			return p, w
		}
	}
	return "", ""
}
