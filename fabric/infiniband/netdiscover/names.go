package netdiscover

import (
	"bytes"
	"strconv"
	"strings"

	"bulkhead/site/draft"
)

// names are those that a second file gives to devices, by GUID.
type names map[uint64]string

// readNames reads a map of names as ibnetdiscover --node-name-map has it: a line
// 0xGUID "NAME" for each device, with # before what is no line. A comma, an equals
// sign or a tab between the two, and a name without quotes, are read as well.
func readNames(d *draft.Draft, file string, text []byte) names {
	out := names{}
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		line := strings.TrimSpace(strings.TrimPrefix(string(raw), "\ufeff"))
		if line == "" || line[0] == '#' || len(out) == maxNodes {
			continue
		}
		end := strings.IndexAny(line, " \t,=;")
		if end < 0 {
			end = len(line)
		}
		guid, err := strconv.ParseUint(strings.TrimPrefix(strings.ReplaceAll(line[:end], ":", ""), "0x"), 16, 64)
		name, _, _ := strings.Cut(strings.Trim(line[end:], " \t,=;"), "#")
		name = strings.TrimSpace(strings.Trim(strings.TrimSpace(name), `"'`))
		name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }), " ")
		switch {
		case err != nil || guid == 0 || name == "":
			d.Note(file, number, "%.60q: passed over; expected 0xGUID \"HOST mlx5_0\"", line)
		case out[guid] != "" && out[guid] != name:
			d.Note(file, number, "GUID 0x%016x is named %q already: this line is passed over", guid, out[guid])
		default:
			out[guid] = name
		}
	}
	return out
}

// apply gives devices their names: by node GUID, system GUID of an adapter, or port GUID.
// A name of one word is the host's, and what the adapter is called of itself stays.
func (n names) apply(t *Topology) {
	if len(n) == 0 {
		return
	}
	for _, node := range t.Nodes {
		name := n[node.GUID]
		for i := range node.Links {
			if name == "" && node.Kind != Switch && node.Links[i].PortGUID != 0 {
				name = n[node.Links[i].PortGUID]
			}
		}
		if name == "" && node.SystemGUID != 0 {
			name = n[node.SystemGUID]
		}
		if name == "" {
			continue
		}
		if _, rest, has := strings.Cut(node.Description, " "); has && node.Kind == CA && !strings.Contains(name, " ") && !factory.MatchString(node.Description) {
			name += " " + rest
		}
		node.Description = name
	}
}
