package netdiscover

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"bulkhead/site/draft"
)

// recognise says which other form a text has, and which command makes the right
// one; "" where it may be right.
func recognise(text []byte) string {
	const right = "expected what ibnetdiscover prints without options: run ibnetdiscover > FILE"
	text = text[:min(len(text), 1<<16)]
	for raw := range bytes.Lines(text) {
		line := strings.TrimSpace(string(raw))
		switch {
		case line == "" || line[0] == '#':
			continue
		case listLine.MatchString(line):
			return "it seems to be a list of nodes (ibnetdiscover -l, ibhosts or ibswitches), which has no cables: " + right
		case strings.HasPrefix(line, "CA: ") || strings.HasPrefix(line, "Switch: ") || strings.HasPrefix(line, "Switch 0x") || strings.Contains(line, "==("):
			return "it seems to be the output of iblinkinfo: " + right
		case line[0] == '{' && draft.OtherForm(text, "ibnetdiscover") == "":
			return "it seems to be JSON: " + right
		case line[0] == '<':
			return "it seems to be XML: " + right
		case strings.Contains(line, "ALL=") || strings.HasPrefix(line, "Default="):
			return "it seems to be OpenSM's partitions.conf: bulkhead drivers takeover shows what that comes to; here " + right
		}
		if form := draft.OtherForm(text, "ibnetdiscover"); form != "" {
			return form + "; here " + right
		}
		return ""
	}
	return ""
}

var (
	// Ca : 0x0002c90300a1b2c0 ports 1 devid 0x1021 vendid 0x2c9 "gpu001 mlx5_0"
	listLine = regexp.MustCompile(`^(Ca|Switch|Rt)\s*:\s*0x[0-9a-fA-F]+ ports`)
	// CA     1  1 0x0002c90300a1b2c1 4x NDR - SW  1000  1 0x0002c90300f00010 ( 'gpu001 mlx5_0' - 'leaf' )
	portLine = regexp.MustCompile(`^(CA|SW|RT)\s+(\d+)\s+(\d+)\s+0x([0-9a-fA-F]{1,16})\s+(\?\?\?|\d{1,2}x)\s+(\S+)\s+-\s+(CA|SW|RT)\s+(\d+)\s+(\d+)\s+0x([0-9a-fA-F]{1,16})\s+\(\s*'(.*)' - '(.*)'\s*\)$`)
	// The same without a cable.
	idleLine = regexp.MustCompile(`^(CA|SW|RT)\s+\d+\s+\d+\s+0x[0-9a-fA-F]{1,16}\s.*'.*'$`)
)

// isPorts tells the report of ports that ibnetdiscover -p prints.
func isPorts(text []byte) bool {
	for raw := range bytes.Lines(text[:min(len(text), 1<<16)]) {
		if line := strings.TrimSpace(string(raw)); line != "" && line[0] != '#' {
			return portLine.MatchString(line) || idleLine.MatchString(line)
		}
	}
	return false
}

// ports reads what ibnetdiscover -p prints: a line an end of a cable, by port GUIDs. A
// switch is known by the GUID of its port 0, each port of an adapter as an adapter of
// its own.
func ports(file string, text []byte) (*Topology, error) {
	t := &Topology{File: file, byGUID: map[uint64]*Node{}}
	kinds := map[string]Kind{"CA": CA, "SW": Switch, "RT": Router}
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' || idleLine.MatchString(line) && !portLine.MatchString(line) {
			continue
		}
		fault := func(format string, args ...any) {
			if len(t.faults) < maxProblems {
				t.faults = append(t.faults, &Error{file, number, fmt.Sprintf(format, args...)})
			}
		}
		m := portLine.FindStringSubmatch(line)
		if m == nil || len(line) > maxLine {
			fault("%.60q: expected a port as ibnetdiscover -p prints it", line)
			continue
		}
		own, _ := strconv.ParseUint(m[4], 16, 64)
		peer, _ := strconv.ParseUint(m[10], 16, 64)
		port, _ := strconv.Atoi(m[3])
		peerPort, _ := strconv.Atoi(m[9])
		if own == 0 || peer == 0 || port < 1 || port > maxPorts || peerPort < 1 || peerPort > maxPorts {
			fault("a GUID of 0, or a port that is not 1 to %d", maxPorts)
			continue
		}
		n := t.byGUID[own]
		if n == nil {
			if len(t.Nodes) == maxNodes {
				return nil, &Error{file, number, fmt.Sprintf("more than %d nodes: no subnet has so many", maxNodes)}
			}
			n = &Node{Line: number, Kind: kinds[m[1]], GUID: own, Ports: maxPorts, Description: m[11]}
			t.byGUID[own] = n
			t.Nodes = append(t.Nodes, n)
		}
		if n.Kind != kinds[m[1]] || n.Link(port) != nil {
			fault("port %d of 0x%016x is in the file twice, or as another kind of node", port, own)
			continue
		}
		l := Link{Line: number, Port: port, Peer: peer, PeerKind: kinds[m[7]], PeerPort: peerPort, PeerName: m[12]}
		if n.Kind != Switch {
			l.PortGUID = own
		}
		if l.PeerKind != Switch {
			l.PeerPortGUID = peer
		}
		n.Links = append(n.Links, l)
	}
	if len(t.Nodes) == 0 {
		return nil, &Error{file, 1, "no cabled port: expected what ibnetdiscover prints"}
	}
	return t, nil
}
