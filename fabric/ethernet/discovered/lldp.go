package discovered

import (
	"bytes"
	"fmt"
	"strings"
)

// LLDP reads one leaf's dump of either form. name is the leaf's: a dump does not
// say whose it is.
func LLDP(name, file string, data []byte) (*Leaf, error) {
	l := &Leaf{File: file, Name: name}
	trimmed := bytes.TrimLeft(data, " \t\r\n\xef\xbb\xbf")
	var err error
	switch {
	case len(trimmed) == 0:
		return nil, &Error{file, 0, "", "it is empty: expected the output of lldpctl -f json or -f keyvalue"}
	case trimmed[0] == '{':
		err = l.readJSON(data)
	case bytes.HasPrefix(trimmed, []byte("lldp.")):
		err = l.readKeys(data)
	default:
		return nil, &Error{file, 1, "", fmt.Sprintf("begins with %.20q: expected the output of lldpctl -f json or -f keyvalue", trimmed)}
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// neighbour is what one entry says, from either form.
type neighbour struct {
	line                int
	port                string
	via                 string
	name                string // of the chassis
	portKind, portValue string // port id: "mac", "ifname", "local"
	portName            string // description
}

// take makes a link of an entry.
func (l *Leaf) take(n neighbour) error {
	where := "interface " + n.port
	fail := func(format string, args ...any) error {
		return &Error{l.File, n.line, where, fmt.Sprintf(format, args...)}
	}
	if n.port == "" {
		return fail("no interface is named")
	}
	if n.via != "" && !strings.EqualFold(n.via, "LLDP") {
		l.Notes = append(l.Notes, fmt.Sprintf("%s:%d: %s is known by %s, not LLDP: left out", l.File, n.line, n.port, n.via))
		return nil
	}
	if n.name == "" {
		l.Notes = append(l.Notes, fmt.Sprintf("%s:%d: the neighbour at %s does not say its name: left out", l.File, n.line, n.port))
		return nil
	}
	link := Link{Line: n.line, Port: n.port, Host: n.name, NIC: n.portName}
	switch n.portKind {
	case "mac":
		mac, err := parseMAC(n.portValue)
		if err != nil {
			return fail("port id %.40q: %v", n.portValue, err)
		}
		link.MAC = mac
	case "ifname":
		if link.NIC == "" || switchPort(n.portValue) {
			link.NIC = n.portValue
		}
	}
	l.Links = append(l.Links, link)
	return nil
}

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

// readJSON reads lldpctl -f json. One interface is an object instead of a list,
// and a chassis is named by its key, or has no name.
func (l *Leaf) readJSON(data []byte) error {
	top, err := parse(l.File, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return err
	}
	lldp := top.get("lldp")
	if lldp == nil || lldp.kind != '{' {
		hint := ""
		if lldp != nil && lldp.kind == '[' {
			hint = "; is it -f json0? use -f json"
		}
		return &Error{l.File, top.line, "", "no \"lldp\" object: expected the output of lldpctl -f json" + hint}
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
				return &Error{l.File, item.line, "interface", "expected an object: a name and what is known there"}
			}
			for _, i := range item.members {
				if err := l.readInterface(i.key, i.value); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (l *Leaf) readInterface(port string, t *tree) error {
	n := neighbour{line: t.line, port: port, via: t.get("via").said()}
	if t.kind != '{' || t.get("chassis") == nil {
		return &Error{l.File, t.line, "interface " + port, "no chassis: expected what lldpctl says of a neighbour"}
	}
	chassis := t.get("chassis")
	if chassis.get("id") == nil {
		for _, m := range chassis.members {
			if m.value.get("id") != nil {
				n.name = strings.TrimSpace(m.key)
				break
			}
		}
	}
	p := t.get("port")
	n.portKind, n.portValue = p.get("id").get("type").said(), p.get("id").get("value").said()
	n.portName = strings.TrimSpace(p.get("descr").said())
	return l.take(n)
}

// readKeys reads lldpctl -f keyvalue: lldp.INTERFACE.WHAT=VALUE. Interfaces may
// have dots in their names, a description may go on in lines of its own, and one
// interface with two neighbours is said twice, each beginning with "via".
func (l *Leaf) readKeys(data []byte) error {
	var current *neighbour
	flush := func() error {
		if current == nil {
			return nil
		}
		n := *current
		current = nil
		return l.take(n)
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if len(line) > maxText {
			return &Error{l.File, number, "", fmt.Sprintf("a line of %d bytes, expected at most %d", len(line), maxText)}
		}
		rest, ours := strings.CutPrefix(line, "lldp.")
		if !ours {
			if current == nil && strings.TrimSpace(line) != "" {
				return &Error{l.File, number, "", fmt.Sprintf("%.40q: expected lldp.INTERFACE.WHAT=VALUE", line)}
			}
			continue // a description goes on
		}
		key, value, found := strings.Cut(rest, "=")
		if !found {
			return &Error{l.File, number, "", fmt.Sprintf("%.40q: expected lldp.INTERFACE.WHAT=VALUE", line)}
		}
		port, what := splitKey(key)
		if what == "" {
			continue // of no interest
		}
		if what == "via" || current == nil || current.port != port {
			if err := flush(); err != nil {
				return err
			}
			current = &neighbour{line: number, port: port}
		}
		value = strings.TrimSpace(value)
		switch what {
		case "via":
			current.via = value
		case "chassis.name":
			current.name = value
		case "port.mac", "port.ifname", "port.local":
			current.portKind, current.portValue = strings.TrimPrefix(what, "port."), value
			current.line = number
		case "port.descr":
			current.portName = value
		}
	}
	return flush()
}

// splitKey tells an interface, which may have dots, from what is said of it.
func splitKey(key string) (port, what string) {
	for _, w := range []string{"via", "chassis.name", "port.mac", "port.ifname", "port.local", "port.descr"} {
		if p, ok := strings.CutSuffix(key, "."+w); ok && p != "" {
			return p, w
		}
	}
	return "", ""
}
