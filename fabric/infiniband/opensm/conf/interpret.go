package conf

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Kind is what a port belongs to (IBTA volume 1, 14.2.5.3, NodeType).
type Kind uint8

// The kinds of node.
const (
	CA     Kind = 1
	Switch Kind = 2
	Router Kind = 3
)

// Subnet is what OpenSM sees: its end ports (a switch has one, its port 0) and
// its own.
type Subnet struct {
	Ports map[uint64]Kind
	Self  uint64
	Both  bool // allow_both_pkeys: a port may be full and limited in one partition
}

// Effect is what OpenSM does with a text.
type Effect struct {
	Open    bool   // it throws the text away: every port is a full member of 0x7fff, and there is nothing else
	Line    int    // where it gave up, from 1; 0 at the end
	Why     string // why it gave up
	Members map[uint16]map[uint64]bool
	// Also are the full members that are limited ones beside it, by key and port: their
	// adapters hold both entries, their leaf ports the full one alone. Empty without
	// Subnet.Both.
	Also map[uint16]map[uint64]bool
	// Uncertain says that the effect rests on what OpenSM read before (a key that
	// it makes up, bytes left over from an earlier line).
	Uncertain bool
}

// Interpret is a model of OpenSM 3.3.23: what it makes of any text, also of those
// that we never write. It was made by feeding files to the real one, with
// allow_both_pkeys and without, which a test does again. Some of what it does
// surprises:
//
//   - no definition at all, as in an empty file, opens the fabric;
//   - a line is read 4,094 bytes at a time, and what is left over is a line;
//   - a keyword may be cut short: A, AL and ALL are all ports, S is the SM;
//   - an empty flag ("0x1=") is full, an unknown one ("0x1=ful1") limited;
//   - "both" is full alone without allow_both_pkeys; of a port that is named twice in
//     a partition the last membership counts;
//   - a key is cut to 15 bits, and 0 becomes a key that OpenSM makes up;
//   - a port of a GUID that it does not see is skipped without a word.
//
// Members: key, port, whether it is full. A missing file is Open as well.
func Interpret(text []byte, s Subnet) Effect {
	m := machine{subnet: s, members: map[uint16]map[uint64]bool{}, also: map[uint16]map[uint64]bool{}, names: map[string]uint16{"Default": DefaultPKey}}
	m.add(DefaultPKey, "ALL", limited)
	m.port(DefaultPKey, s.Self, full)
	m.run(text)
	if m.why == "" && !m.defined {
		m.why, m.line = "it defines nothing", 0
	}
	if m.why != "" {
		open := map[uint64]bool{s.Self: true}
		for guid := range s.Ports {
			open[guid] = true
		}
		return Effect{Open: true, Line: m.line, Why: m.why, Uncertain: m.uncertain, Members: map[uint16]map[uint64]bool{DefaultPKey: open}}
	}
	for key, members := range m.members {
		if len(members) == 0 {
			delete(m.members, key)
		}
	}
	return Effect{Members: m.members, Also: m.also, Uncertain: m.uncertain}
}

// membership is how a port is in a partition.
type membership uint8

const (
	limited membership = iota
	full
	both
)

// membershipOf reads a flag, of which a beginning is enough.
func membershipOf(flag string) (membership, bool) {
	switch {
	case strings.HasPrefix("full", flag):
		return full, true
	case strings.HasPrefix("both", flag):
		return both, true
	case strings.HasPrefix("limited", flag):
		return limited, true
	}
	return limited, false
}

const lineBuffer = 4096 // bytes; a read fills at most two less

type machine struct {
	subnet  Subnet
	members map[uint16]map[uint64]bool
	also    map[uint16]map[uint64]bool
	names   map[string]uint16
	made    uint16 // last key that was made up

	buf       [lineBuffer]byte
	filled    int // high-water mark of buf: beyond it is what nobody wrote
	line      int
	why       string
	defined   bool
	uncertain bool

	open bool // within a definition that no semicolon has ended
	key  uint16
	has  bool       // the definition's head was read
	as   membership // of those without a flag in the definition
}

func (m *machine) run(text []byte) {
	for len(text) > 0 && m.why == "" {
		n := bytes.IndexByte(text, '\n') + 1
		if n == 0 {
			n = len(text)
		}
		n = min(n, lineBuffer-2)
		copy(m.buf[:], text[:n])
		m.buf[n] = 0
		m.filled = max(m.filled, n+1)
		text = text[n:]
		m.line++
		if q := m.find(0, '#'); q >= 0 {
			m.buf[q] = 0
		}
		m.readLine()
	}
}

func (m *machine) readLine() {
	p := 0
	for {
		p = m.skip(p)
		if m.buf[p] == 0 {
			return
		}
		if !m.open {
			m.open, m.has, m.as = true, false, limited
		}
		q := m.find(p, ';')
		if q >= 0 {
			m.buf[q] = 0
		}
		n, why := m.definition(p)
		if why != "" {
			m.why = why
			return
		}
		m.defined = true
		p += n
		if q < 0 {
			return
		}
		m.open = false
		if p >= m.filled {
			m.uncertain = true
			return
		}
	}
}

// definition reads from p to the next 0 byte and returns how many bytes it used.
func (m *machine) definition(p int) (used int, why string) {
	if m.buf[p] == 0 { // a semicolon alone: what follows it is read as if it were not there
		p++
		used = 1
		if p >= m.filled {
			m.uncertain = true
		}
	}
	if !m.has {
		colon := m.find(p, ':')
		if colon < 0 {
			return 0, "no partition definition found"
		}
		m.buf[colon] = 0
		comma := m.find(p, ',')
		if comma >= 0 {
			m.buf[comma] = 0
		}
		name, id, n := m.token(p)
		p, used = p+n, used+n
		for comma >= 0 {
			if comma = m.find(p, ','); comma >= 0 {
				m.buf[comma] = 0
			}
			var flag string
			var value *string
			flag, value, n = m.token(p)
			p, used = p+n, used+n
			m.flag(flag, value)
		}
		if p != colon+1 || !m.create(name, id) {
			return 0, "bad partition definition"
		}
	}
	for more := true; more; {
		comma := m.find(p, ',')
		if more = comma >= 0; more {
			m.buf[comma] = 0
		}
		name, flag, n := m.token(p)
		used += n
		if name == "mgid" {
			// A multicast group takes the rest of the line. No port is added.
			used += m.group(p+n, more)
			return used, ""
		}
		if !m.member(name, flag) {
			return 0, fmt.Sprintf("bad PortGUID %.40q", name)
		}
		p += n
	}
	return used, ""
}

// group skips the flags of a multicast group.
func (m *machine) group(p int, more bool) int {
	used := 0
	if !more {
		m.uncertain = true // reads past the text
		return 0
	}
	for more {
		comma := m.find(p, ',')
		if more = comma >= 0; more {
			m.buf[comma] = 0
		}
		_, _, n := m.token(p)
		p, used = p+n, used+n
	}
	return used
}

// flag obeys a partition's flag. Those of multicast groups come first, so that
// what could begin both is theirs.
func (m *machine) flag(flag string, value *string) {
	for _, group := range []string{"mtu", "rate", "scope", "Q_Key", "TClass", "sl", "FlowLabel", "ipoib"} {
		if strings.HasPrefix(group, flag) {
			return
		}
	}
	if strings.HasPrefix("defmember", flag) && value != nil {
		if as, known := membershipOf(*value); known {
			m.as = as
		}
	}
}

// create opens a partition.
func (m *machine) create(name string, id *string) bool {
	if id == nil && name != "" && name[0] >= '0' && name[0] <= '9' {
		id = &name
	}
	m.has = true
	var key uint16
	if id != nil {
		value, rest, ok := number(*id)
		if !ok || rest != "" {
			return false
		}
		key = uint16(value) & maxPKey
	}
	if key == 0 {
		m.uncertain = true // its own choice, and partitions of the last reading count
		if id == nil || id != &name {
			if same, known := m.names[name]; known {
				m.key = same
				return true
			}
		}
		for {
			m.made++
			if _, taken := m.members[m.made]; !taken {
				break
			}
		}
		key = m.made
	}
	if _, known := m.members[key]; !known {
		m.members[key] = map[uint64]bool{}
		m.names[name] = key
	}
	m.key = key
	return true
}

// member adds what one entry of the list names.
func (m *machine) member(name string, flag *string) bool {
	if name == "" || strings.HasPrefix("NONE", name) {
		return true
	}
	as := m.as
	if flag != nil {
		as, _ = membershipOf(*flag)
	}
	for _, all := range []string{"ALL", "ALL_CAS", "ALL_SWITCHES", "ALL_ROUTERS"} {
		if strings.HasPrefix(all, name) {
			m.add(m.key, all, as)
			return true
		}
	}
	if strings.HasPrefix("SELF", name) {
		m.port(m.key, m.subnet.Self, as)
		return true
	}
	guid, rest, ok := number(name)
	if !ok || guid == 0 || rest != "" {
		return false
	}
	m.port(m.key, guid, as)
	return true
}

func (m *machine) add(key uint16, all string, as membership) {
	want := map[string]Kind{"ALL": 0, "ALL_CAS": CA, "ALL_SWITCHES": Switch, "ALL_ROUTERS": Router}[all]
	for guid, kind := range m.subnet.Ports {
		if want == 0 || kind == want {
			m.port(key, guid, as)
		}
	}
}

func (m *machine) port(key uint16, guid uint64, as membership) {
	if _, seen := m.subnet.Ports[guid]; !seen {
		return
	}
	if m.members[key] == nil {
		m.members[key] = map[uint64]bool{}
	}
	m.members[key][guid] = as != limited
	if as != both || !m.subnet.Both {
		delete(m.also[key], guid)
		return
	}
	if m.also[key] == nil {
		m.also[key] = map[uint64]bool{}
	}
	m.also[key][guid] = true
}

// find returns where c is, from p to the next 0 byte, or -1.
func (m *machine) find(p int, c byte) int {
	if p >= len(m.buf) {
		return -1
	}
	end := bytes.IndexByte(m.buf[p:], 0)
	if end < 0 {
		end = len(m.buf) - p
	}
	if at := bytes.IndexByte(m.buf[p:p+end], c); at >= 0 {
		return p + at
	}
	return -1
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

func (m *machine) skip(p int) int {
	for blank(m.buf[p]) {
		p++
	}
	return p
}

// token reads "name" or "name=value" from p to the next 0 byte, without blanks
// around either, and returns how many bytes it used, the 0 included.
func (m *machine) token(p int) (name string, value *string, used int) {
	end := p + bytes.IndexByte(m.buf[p:], 0)
	text := string(m.buf[p:end])
	if before, after, has := strings.Cut(text, "="); has {
		after = strings.Trim(after, " \t\n")
		value = &after
		text = before
	}
	return strings.Trim(text, " \t\n"), value, end + 1 - p
}

// number reads what C's strtoul does: blanks, a sign, 0x for hexadecimal, 0 for
// octal. It returns what is left, and whether there was a number. Too large a
// one is the largest.
func number(s string) (value uint64, rest string, ok bool) {
	t := strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(t, "-")
	if negative || strings.HasPrefix(t, "+") {
		t = t[1:]
	}
	base := uint64(10)
	switch {
	case len(t) > 2 && (t[:2] == "0x" || t[:2] == "0X") && digit(t[2]) < 16:
		base, t = 16, t[2:]
	case len(t) > 0 && t[0] == '0':
		base = 8
	}
	n, over := 0, false
	for n < len(t) && digit(t[n]) < base {
		d := digit(t[n])
		if value > (math.MaxUint64-d)/base {
			over = true
		}
		value = value*base + d
		n++
	}
	switch {
	case n == 0:
		return 0, s, false
	case over:
		value = math.MaxUint64
	case negative:
		value = -value
	}
	return value, t[n:], true
}

func digit(c byte) uint64 {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0')
	case c >= 'a' && c <= 'z':
		return uint64(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return uint64(c-'A') + 10
	}
	return 99
}
