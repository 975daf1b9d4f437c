package site

import (
	"bytes"
	"encoding/json"
	"fmt"

	"bulkhead/claim"
)

// MaxBody is the largest header or inventory body that is decoded.
const MaxBody = 8 << 20

// Encode returns the JSON body of a header. The same header always gives the
// same bytes, and DecodeHeader accepts no others.
func (h *Header) Encode() ([]byte, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	return json.Marshal(h)
}

// DecodeHeader reads a header body: canonical bytes of a header that passes Check.
func DecodeHeader(data []byte) (Header, error) {
	var h Header
	if err := claim.Exact(data, MaxBody, &h); err != nil {
		return Header{}, fmt.Errorf("site header: %w", err)
	}
	canonical, err := h.Encode()
	if err != nil {
		return Header{}, err
	}
	if !bytes.Equal(canonical, data) {
		return Header{}, fmt.Errorf("site header: not in canonical form")
	}
	return h, nil
}

// DecodeSU reads an inventory body: canonical bytes of an inventory that passes
// Check. The strings of the result are parts of one copy of data, so keep the
// few that are needed with strings.Clone. Cost: about 1 ms for 64 nodes.
func DecodeSU(data []byte) (*SUInventory, error) {
	inv := new(SUInventory)
	if err := decode(data, inv.code); err != nil {
		return nil, fmt.Errorf("SU inventory: %w", err)
	}
	if err := inv.Check(); err != nil {
		return nil, fmt.Errorf("SU inventory %.60q: %w", inv.SU, err)
	}
	return inv, nil
}

func decode(data []byte, code func(*coder)) error {
	if len(data) > MaxBody {
		return fmt.Errorf("%d bytes, expected at most %d", len(data), MaxBody)
	}
	c := coder{in: string(data), reading: true}
	code(&c)
	if c.err == nil && c.at != len(c.in) {
		c.fail("expected the end, found %.40q", c.in[c.at:])
	}
	return c.err
}

// Encode returns the JSON body of an inventory. The same inventory always gives
// the same bytes. Cost: about 300 µs and 260 kB for 64 nodes.
func (inv *SUInventory) Encode() []byte {
	c := coder{out: make([]byte, 0, 4096*len(inv.Nodes)+100*len(inv.Links)+4096)}
	inv.code(&c)
	return c.out
}

// Encode returns the node's part of its SU's body.
func (n *NodeInventory) Encode() []byte {
	c := coder{out: make([]byte, 0, 4096)}
	n.code(&c)
	return c.out
}

// Digest returns the digest of the inventory's body.
func (inv *SUInventory) Digest() claim.Digest { return claim.DigestOf(inv.Encode()) }
