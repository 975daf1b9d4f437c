package conf

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// parseError says where a text is not what generate writes.
type parseError struct {
	Line int    // from 1
	What string // what was expected
}

func (e *parseError) Error() string {
	return fmt.Sprintf("partitions.conf line %d: expected %s", e.Line, e.What)
}

// ParsePartitions reads what generate writes and nothing else: no other spacing, no names,
// no keywords but those of the default partition's line, no key without members,
// no port twice in one partition, no line over maxPartitionLine, nothing after the end
// line and nothing missing before it. What it accepts, OpenSM 3.3.23 applies to
// the letter.
func ParsePartitions(text []byte) (*Partitioning, error) {
	r := reader{rest: text}
	if line, err := r.next(); err != nil {
		return nil, err
	} else if string(line) != header {
		return nil, r.expected("Bulkhead's first line: %q", header[:len(header)-1])
	}
	if line, err := r.next(); err != nil {
		return nil, err
	} else if string(line) != defaultLine {
		return nil, r.expected("the default partition: %q", defaultLine[:len(defaultLine)-1])
	}
	c := &Partitioning{}
	for {
		line, err := r.next()
		if err != nil {
			return nil, err
		}
		if line[0] == '#' {
			return c, r.end(line, c)
		}
		if err := r.definition(line, c); err != nil {
			return nil, err
		}
	}
}

type reader struct {
	rest []byte
	line int
}

func (r *reader) expected(format string, args ...any) error {
	return &parseError{r.line, fmt.Sprintf(format, args...)}
}

// next returns the next line with its newline.
func (r *reader) next() ([]byte, error) {
	r.line++
	n := bytes.IndexByte(r.rest, '\n') + 1
	if n == 0 {
		return nil, r.expected("a line with its newline: the text is cut off")
	}
	if n > maxPartitionLine {
		return nil, r.expected("at most %d bytes: OpenSM breaks long lines", maxPartitionLine)
	}
	line := r.rest[:n]
	r.rest = r.rest[n:]
	for _, c := range line[:n-1] {
		if c < ' ' || c > '~' {
			return nil, r.expected("printable ASCII, not byte 0x%02x", c)
		}
	}
	return line, nil
}

func (r *reader) end(line []byte, c *Partitioning) error {
	if want := fmt.Sprintf("# end: %d partitions, %d members\n", len(c.Partitions), c.Members()); string(line) != want {
		return r.expected("%q: something is missing or was added", want[:len(want)-1])
	}
	r.line++
	if len(r.rest) > 0 {
		return r.expected("nothing after the end line")
	}
	return nil
}

// definition reads one line of a partition.
func (r *reader) definition(line []byte, c *Partitioning) error {
	body, ok := bytes.CutSuffix(line, []byte(" ;\n"))
	if !ok {
		return r.expected("\" ;\" at the end of the line")
	}
	head, members, ok := bytes.Cut(body, []byte(" : "))
	if !ok {
		return r.expected("a name, a key and \" : \"")
	}
	key, err := r.head(head)
	if err != nil {
		return err
	}
	if n := len(c.Partitions); n == 0 || c.Partitions[n-1].Key < key {
		c.Partitions = append(c.Partitions, Partition{Key: key})
	} else if c.Partitions[n-1].Key != key {
		return r.expected("a key above 0x%04x, or that one again", c.Partitions[n-1].Key)
	}
	p := &c.Partitions[len(c.Partitions)-1]
	count := 0
	for more := true; more; count++ {
		var member []byte
		member, members, more = bytes.Cut(members, []byte(", "))
		if err := r.member(member, p); err != nil {
			return err
		}
	}
	if count > maxGUIDs {
		return r.expected("at most %d members in a line", maxGUIDs)
	}
	return nil
}

// head reads "K0001=0x0001", or "Default=0x7fff" and no other name for that key.
func (r *reader) head(head []byte) (uint16, error) {
	if string(head) == "Default=0x7fff" {
		return DefaultPKey, nil
	}
	const shape = "K0001=0x0001"
	if len(head) != len(shape) || head[0] != 'K' || string(head[5:8]) != "=0x" || !bytes.Equal(head[1:5], head[8:]) {
		return 0, r.expected("%q with four hexadecimal digits, twice the same", shape)
	}
	key, err := hexadecimal(head[1:5])
	if err != nil || key < 1 || key >= DefaultPKey {
		return 0, r.expected("a key from 0x0001 to 0x7ffe, in lower case")
	}
	return uint16(key), nil
}

// member reads "0x00000000000000ff=full" or "=limited".
func (r *reader) member(member []byte, p *Partition) error {
	const digits = 16
	if len(member) < 2+digits || string(member[:2]) != "0x" {
		return r.expected("a port GUID of 16 hexadecimal digits after 0x")
	}
	guid, err := hexadecimal(member[2 : 2+digits])
	if err != nil || guid == 0 {
		return r.expected("a port GUID above 0, in lower case")
	}
	switch flag := string(member[2+digits:]); {
	case flag == "=full" && len(p.Limited) == 0:
		if n := len(p.Full); n > 0 && p.Full[n-1] >= guid {
			return r.expected("port GUIDs of 0x%04x in ascending order, none twice", p.Key)
		}
		p.Full = append(p.Full, guid)
	case flag == "=full":
		return r.expected("the full members of 0x%04x before the limited ones", p.Key)
	case flag == "=limited" && p.Key != DefaultPKey:
		if n := len(p.Limited); n > 0 && p.Limited[n-1] >= guid {
			return r.expected("port GUIDs of 0x%04x in ascending order, none twice", p.Key)
		}
		if _, both := slices.BinarySearch(p.Full, guid); both {
			return r.expected("port 0x%016x of 0x%04x as full or as limited, not both", guid, p.Key)
		}
		p.Limited = append(p.Limited, guid)
	case flag == "=limited":
		return r.expected("full members of the default partition only: everybody else is limited there anyway")
	default:
		return r.expected("=full or =limited")
	}
	return nil
}

// hexadecimal reads lower-case digits only: OpenSM takes a leading sign or blank
// as part of a number, this does not.
func hexadecimal(digits []byte) (uint64, error) {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseUint(string(digits), 16, 64)
}
