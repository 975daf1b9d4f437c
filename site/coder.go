package site

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// coder writes or reads the canonical JSON of an inventory. One walk over the
// fields serves both directions, so that they cannot disagree: what is written
// is exactly what is accepted, down to the byte. It is hand-made because a
// replay reads 200 MB of inventories, which takes encoding/json over two
// seconds; a test compares its bytes with encoding/json's.
type coder struct {
	out     []byte // writing
	in      string // reading; strings that are read are parts of it
	at      int
	reading bool
	err     error // the first, reading only
}

func (c *coder) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("byte %d: %s", c.at, fmt.Sprintf(format, args...))
	}
}

// literal writes text, or requires it.
func (c *coder) literal(text string) {
	if !c.reading {
		c.out = append(c.out, text...)
		return
	}
	if c.err != nil {
		return
	}
	if len(c.in)-c.at < len(text) || c.in[c.at:c.at+len(text)] != text {
		c.fail("expected %s, found %.40q", text, c.in[c.at:min(len(c.in), c.at+40)])
		return
	}
	c.at += len(text)
}

// plainByte are the bytes that stand for themselves in a JSON string.
var plainByte = func() (table [256]bool) {
	for b := ' '; b < 0x7f; b++ {
		table[b] = b != '"' && b != '\\' && b != '<' && b != '>' && b != '&'
	}
	return table
}()

func isPlain(text string) bool {
	for i := range len(text) {
		if !plainByte[text[i]] {
			return false
		}
	}
	return true
}

func (c *coder) text(field string, s *string) {
	c.literal(field)
	if !c.reading {
		if !isPlain(*s) {
			quoted, err := json.Marshal(*s)
			if err != nil {
				panic(err) // text always encodes
			}
			c.out = append(c.out, quoted...)
			return
		}
		c.out = append(c.out, '"')
		c.out = append(c.out, *s...)
		c.out = append(c.out, '"')
		return
	}
	if raw, ok := c.quoted(); ok {
		*s = raw
	}
}

// optionalText codes a text that is left out where it is empty.
func (c *coder) optionalText(field string, s *string) {
	switch {
	case !c.reading && *s == "":
	case c.reading && !strings.HasPrefix(c.in[c.at:], field):
	default:
		c.text(field, s)
		if c.reading && *s == "" {
			c.fail("an empty text that should be left out")
		}
	}
}

// quoted reads a JSON string.
func (c *coder) quoted() (string, bool) {
	if c.err != nil {
		return "", false
	}
	if c.at >= len(c.in) || c.in[c.at] != '"' {
		c.fail("expected text in quotes")
		return "", false
	}
	start := c.at + 1
	end := start
	for end < len(c.in) && plainByte[c.in[end]] {
		end++
	}
	if end < len(c.in) && c.in[end] == '"' {
		c.at = end + 1
		return c.in[start:end], true
	}
	for end = start; end < len(c.in) && c.in[end] != '"'; end++ {
		if c.in[end] == '\\' {
			end++
		}
	}
	if end >= len(c.in) {
		c.fail("text without end")
		return "", false
	}
	raw := c.in[start-1 : end+1]
	var s string
	// Lenient JSON: one text, which can be read in one way.
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		c.fail("%v", err)
		return "", false
	}
	// Only one spelling of a text is canonical.
	if again, err := json.Marshal(s); err != nil || string(again) != raw {
		c.fail("%.60s is not the canonical spelling of its text", raw)
		return "", false
	}
	c.at = end + 1
	return s, true
}

func (c *coder) number(field string, n *int) {
	c.literal(field)
	if !c.reading {
		c.out = strconv.AppendInt(c.out, int64(*n), 10)
		return
	}
	if c.err != nil {
		return
	}
	end := c.at
	for end < len(c.in) && end-c.at < 10 && c.in[end] >= '0' && c.in[end] <= '9' {
		end++
	}
	digits := c.in[c.at:end]
	v, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		c.fail("expected a whole number from 0 on")
		return
	}
	*n, c.at = v, end
}

func (c *coder) hardwareID(field string, h *HardwareID) {
	c.literal(field)
	if !c.reading {
		c.out = append(c.out, '"')
		c.out = h.append(c.out)
		c.out = append(c.out, '"')
		return
	}
	if text, ok := c.quoted(); ok {
		if err := h.UnmarshalText([]byte(text)); err != nil {
			c.fail("%v", err)
		}
	}
}

func (c *coder) publicKey(field string, k *PublicKey) {
	c.literal(field)
	if !c.reading {
		c.out = append(c.out, '"')
		c.out = append(c.out, k.String()...)
		c.out = append(c.out, '"')
		return
	}
	if text, ok := c.quoted(); ok {
		if err := k.UnmarshalText([]byte(text)); err != nil {
			c.fail("%v", err)
		}
	}
}

// list codes a list of at most limit entries; nil is written [].
func list[T any](c *coder, field string, items *[]T, limit int, each func(*T, *coder)) {
	c.literal(field)
	c.literal("[")
	if !c.reading {
		for i := range *items {
			if i > 0 {
				c.out = append(c.out, ',')
			}
			each(&(*items)[i], c)
		}
		c.literal("]")
		return
	}
	*items = make([]T, 0, min(limit, 64))
	for c.err == nil {
		if c.at < len(c.in) && c.in[c.at] == ']' && len(*items) == 0 {
			break
		}
		if len(*items) == limit {
			c.fail("more than %d entries", limit)
			return
		}
		*items = append(*items, *new(T))
		each(&(*items)[len(*items)-1], c)
		if c.at < len(c.in) && c.in[c.at] == ',' {
			c.at++
			continue
		}
		break
	}
	c.literal("]")
}

func (d *Device) code(c *coder) {
	c.text(`{"class":`, &d.Class)
	c.text(`,"model":`, &d.Model)
	c.text(`,"serial":`, &d.Serial)
	c.text(`,"firmware":`, &d.Firmware)
	c.literal("}")
}

func (n *NIC) code(c *coder) {
	c.text(`{"name":`, &n.Name)
	c.hardwareID(`,"id":`, &n.ID)
	c.text(`,"model":`, &n.Model)
	c.text(`,"serial":`, &n.Serial)
	c.text(`,"firmware":`, &n.Firmware)
	c.text(`,"leaf":`, &n.Leaf)
	c.number(`,"port":`, &n.Port)
	c.literal("}")
}

func (b *BMC) code(c *coder) {
	c.text(`{"name":`, &b.Name)
	c.hardwareID(`,"mac":`, &b.MAC)
	c.text(`,"model":`, &b.Model)
	c.text(`,"serial":`, &b.Serial)
	c.text(`,"firmware":`, &b.Firmware)
	c.literal("}")
}

func (l *LeafInventory) code(c *coder) {
	c.text(`{"id":`, &l.ID)
	c.number(`,"nic":`, &l.NIC)
	c.text(`,"fabric":`, &l.Fabric)
	c.hardwareID(`,"guid":`, &l.GUID)
	c.text(`,"model":`, &l.Model)
	c.text(`,"serial":`, &l.Serial)
	c.text(`,"firmware":`, &l.Firmware)
	c.number(`,"ports":`, &l.Ports)
	c.literal("}")
}

func (l *Link) code(c *coder) {
	c.text(`{"from":`, &l.From)
	c.text(`,"to":`, &l.To)
	c.literal("}")
}

func (n *NodeInventory) code(c *coder) {
	c.text(`{"id":`, &n.ID)
	c.optionalText(`,"host":`, &n.Host)
	c.text(`,"serial":`, &n.Serial)
	c.text(`,"rack":`, &n.Rack)
	c.number(`,"pos":`, &n.Pos)
	c.literal(`,"bmc":`)
	n.BMC.code(c)
	list(c, `,"nics":`, &n.NICs, NICs, (*NIC).code)
	list(c, `,"gpus":`, &n.GPUs, GPUs, (*Device).code)
	list(c, `,"drives":`, &n.Drives, MaxDrives, (*Device).code)
	c.literal(`,"dram":`)
	n.DRAM.code(c)
	c.literal(`,"uefi":`)
	n.UEFI.code(c)
	c.literal(`,"tpm":`)
	n.TPM.code(c)
	c.publicKey(`,"attestation_key":`, &n.AttestationKey)
	c.literal("}")
}

func (inv *SUInventory) code(c *coder) {
	c.text(`{"su":`, &inv.SU)
	c.text(`,"pod":`, &inv.Pod)
	c.text(`,"hall":`, &inv.Hall)
	c.text(`,"phase":`, &inv.Phase)
	c.text(`,"fabric":`, &inv.Fabric)
	c.text(`,"kind":`, &inv.Kind)
	c.number(`,"spares":`, &inv.Spares)
	list(c, `,"nodes":`, &inv.Nodes, MaxSUNodes, (*NodeInventory).code)
	list(c, `,"leaves":`, &inv.Leaves, NICs, (*LeafInventory).code)
	list(c, `,"links":`, &inv.Links, maxLinks, (*Link).code)
	c.literal("}")
}
