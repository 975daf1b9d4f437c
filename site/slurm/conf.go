// Package slurm reads Slurm's descriptions of a network, topology.conf and
// topology.yaml, as the draft of a site. It is pure: files that are included come
// through a reader.
//
// A tree of switches becomes fabric, hall, pod and scalable unit, a block an NVLink
// domain that is a scalable unit of one rack. Whatever Slurm would take and a site
// can't be is refused, with file and line.
//
// Sources: the manual pages topology.conf(5) and topology.yaml(5) of Slurm 22.05 to
// 26.05, and the controllers of 22.05 and 26.05 themselves; how lines are joined,
// commented and included is that of Slurm's common configuration reader.
package slurm

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"bulkhead/claim"
	"bulkhead/site"
	"bulkhead/site/draft"
	"bulkhead/site/hostlist"
)

const (
	maxFile     = 16 << 20 // bytes of all files together
	maxIncluded = 100      // files
	maxNesting  = 8        // includes inside includes
	maxSwitches = 1 << 16
)

// Conf reads a topology.conf of the tree or of the block plugin. Errors name file
// and line.
func Conf(file string, read draft.Reader, o draft.Options) (*draft.Draft, error) {
	c := &conf{read: read, net: network{selected: o.Hosts, real: o.Switches}}
	if err := c.file(file, 0); err != nil {
		return nil, err
	}
	from := strings.Join(c.files, ", ") + " (Slurm)"
	switch {
	case c.blocks > 0 && len(c.net.switches) > 0 && len(c.net.blocks) > 0:
		c.net.note(c.net.blocks[0].at, "BlockName in a file with SwitchName lines: Slurm reads one of the two, by its TopologyPlugin: the %d blocks are left out", len(c.net.blocks))
	case len(c.net.switches) == 0 && (c.blocks > 0 || c.net.sizes != nil || c.hiddenBlocks):
		return c.net.blockDraft(from, o)
	}
	if len(c.net.switches) == 0 && c.strange != nil {
		return nil, c.strange
	}
	return c.net.treeDraft(from, o)
}

// fileLine is where something stands in a file.
type fileLine struct {
	file string
	line int
}

func (p fileLine) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

func (p fileLine) fail(format string, args ...any) error {
	return &claim.Problem{File: p.file, Line: p.line, Reason: fmt.Sprintf(format, args...)}
}

// reason is what an error says, without the line, which a note says already.
func reason(err error) string {
	var l *claim.Problem
	if errors.As(err, &l) {
		return l.Reason
	}
	return err.Error()
}

// otherForm says which other form a line is of, and what reads it; "" if none is known.
func otherForm(line string) string {
	lower := strings.ToLower(line)
	for _, f := range []struct{ begins, says string }{
		{"- topology", "it seems to be a topology.yaml: import it with --format slurm-yaml"},
		{"topology:", "it seems to be a topology.yaml: import it with --format slurm-yaml"},
		{"---", "it seems to be YAML: import a topology.yaml with --format slurm-yaml, a site file without --format"},
		{"site:", "it seems to be a site file: import it without --format"},
		{"nodename=", "it seems to be a slurm.conf, which does not say how nodes are cabled: give the topology.conf beside it, or what scontrol show topology prints"},
		{"clustername=", "it seems to be a slurm.conf, which does not say how nodes are cabled: give the topology.conf beside it, or what scontrol show topology prints"},
		{"{", "it seems to be JSON: expected a topology.conf, or what scontrol show topology prints"},
		{"vendid=", "it seems to be the output of ibnetdiscover: import it with --format ibnetdiscover"},
	} {
		if strings.HasPrefix(lower, f.begins) {
			return f.says
		}
	}
	return ""
}

type conf struct {
	read  draft.Reader
	files []string
	bytes int
	net   network

	blocks       int   // BlockName lines
	hiddenBlocks bool  // some of them are commented out
	strange      error // the first line that is none of a topology
}

// file reads one file and what it includes, in the order of lines.
func (c *conf) file(name string, nesting int) error {
	data, err := c.read(name)
	if err != nil {
		return err
	}
	c.files = append(c.files, path.Base(name))
	if c.bytes += len(data); c.bytes > maxFile || len(c.files) > maxIncluded {
		return fmt.Errorf("%s: more than %d bytes or %d files with what is included", name, maxFile, maxIncluded)
	}
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		at := fileLine{name, i + 1}
		if commented := strings.ToLower(strings.TrimLeft(lines[i], "# \t")); strings.HasPrefix(strings.TrimLeft(lines[i], " \t"), "#") {
			if block := strings.HasPrefix(commented, "blockname="); block || strings.HasPrefix(commented, "switchname=") {
				c.net.hidden = append(c.net.hidden, at)
				c.hiddenBlocks = c.hiddenBlocks || block
			}
		}
		text, more := continued(uncomment(lines[i]))
		for more && i+1 < len(lines) {
			i++
			var next string
			next, more = continued(uncomment(lines[i]))
			text += next
		}
		text = strings.ReplaceAll(text, `\#`, "#")
		if bad := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0xfffd }); bad >= 0 {
			return at.fail("a character that no text has: expected a text file")
		}
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if included, ok := include(text); ok {
			if nesting == maxNesting {
				return at.fail("Include inside %d includes: expected fewer; does a file include itself?", nesting)
			}
			if !path.IsAbs(included) {
				included = path.Join(path.Dir(name), included)
			}
			// What an included file says can't be left out with a note: nobody knows how much it is.
			if err := c.file(included, nesting+1); err != nil {
				return fmt.Errorf("%s: Include: %w", at, err)
			}
			continue
		}
		if err := c.record(at, text); err != nil {
			var l *claim.Problem
			if !errors.As(err, &l) {
				return err
			}
			if form := otherForm(text); form != "" && c.net.switches == nil && c.blocks == 0 {
				return at.fail("%s", form)
			}
			c.net.note(at, "%s: the line is left out", l.Reason)
			if c.strange == nil {
				c.strange = err
			}
		}
	}
	return nil
}

// uncomment cuts a line at its first # that no backslash escapes.
func uncomment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] != '\\') {
			return line[:i]
		}
	}
	return line
}

// continued reports whether a line ends in a backslash, that is an odd number of
// them, and returns it without. White space after it does not matter.
func continued(line string) (string, bool) {
	trimmed := strings.TrimRight(line, " \t\r\n\v\f")
	n := len(trimmed) - len(strings.TrimRight(trimmed, `\`))
	if n%2 == 0 {
		return line, false
	}
	return trimmed[:len(trimmed)-1], true
}

// include reads "Include FILE".
func include(text string) (file string, ok bool) {
	word, rest, found := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	rest = strings.TrimSpace(rest)
	return rest, found && strings.EqualFold(word, "include") && rest != "" && !strings.HasPrefix(rest, "=")
}

// record takes one logical line: Key=value Key="value" ...
func (c *conf) record(at fileLine, text string) error {
	fields, err := pairs(at, text)
	if err != nil {
		return err
	}
	take := func(key string) string {
		v := fields[key]
		delete(fields, key)
		return v
	}
	_, isSwitch := fields["switchname"]
	_, isBlock := fields["blockname"]
	_, isSizes := fields["blocksizes"]
	switch {
	case isSwitch:
		s := &vertex{at: at, nodesAt: at, name: take("switchname"), nodes: take("nodes"), children: take("switches")}
		s.shown = take("level") != ""
		take("linkspeed") // "an optional value", which no version of Slurm reads
		err = c.net.addSwitch(s, "Nodes", "Switches")
	case isBlock:
		c.blocks++
		b := &vertex{at: at, nodesAt: at, name: take("blockname"), nodes: take("nodes")}
		take("blockindex") // as scontrol show topology prints it
		take("blocksize")
		err = c.net.addBlock(b)
	case isSizes:
		c.net.setSizes(at, strings.Split(take("blocksizes"), ","))
	default:
		return at.fail("%.60q: expected a line that begins with SwitchName=, BlockName=, BlockSizes= or Include", text)
	}
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(keys(fields)) {
		c.net.note(at, "%s: not known on this line, passed over; expected SwitchName with Nodes, Switches and LinkSpeed, or BlockName with Nodes, or BlockSizes", key)
	}
	return nil
}

func keys(fields map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range fields {
			if !yield(key) {
				return
			}
		}
	}
}

// pairs splits a line into its fields, keys in lower case: Slurm does not tell
// upper from lower. White space around = is allowed, values may be quoted.
func pairs(at fileLine, text string) (map[string]string, error) {
	fields := map[string]string{}
	for rest := text; rest != ""; {
		key, after, ok := strings.Cut(rest, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsAny(key, " \t\"[],") {
			return nil, at.fail("%.60q: expected Key=value; is a blank inside a list, or a quote missing?", rest)
		}
		after = strings.TrimLeft(after, " \t")
		var value string
		if quoted, isQuoted := strings.CutPrefix(after, `"`); isQuoted {
			if value, rest, ok = strings.Cut(quoted, `"`); !ok {
				return nil, at.fail("%s: a quote without its other half", key)
			}
			if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
				return nil, at.fail("%s: expected white space after the quoted value, found %.20q", key, rest)
			}
		} else if end := strings.IndexAny(after, " \t"); end >= 0 {
			value, rest = after[:end], after[end:]
		} else {
			value, rest = after, ""
		}
		if strings.Contains(value, "=") && !strings.HasPrefix(after, `"`) && len(after) < len(strings.TrimPrefix(text, key)) {
			// Nothing after the equals sign, and the next field: not a value.
			value, rest = "", after
		}
		rest = strings.TrimLeft(rest, " \t")
		lower := strings.ToLower(key)
		if _, twice := fields[lower]; twice {
			return nil, at.fail("%s: twice on this line, expected once", key)
		}
		fields[lower] = value
	}
	return fields, nil
}

// expand reads a list of names at a place.
func expand(at fileLine, key, list string) ([]string, error) {
	names, err := hostlist.Expand(list, site.MaxNodes)
	if err != nil {
		return nil, at.fail("%s: %v", key, err)
	}
	return names, nil
}
