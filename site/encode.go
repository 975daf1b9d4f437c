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
	if err := strict(data, &h); err != nil {
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
// Check.
func DecodeSU(data []byte) (*SUInventory, error) {
	inv := new(SUInventory)
	if err := strict(data, inv); err != nil {
		return nil, fmt.Errorf("SU inventory: %w", err)
	}
	if !bytes.Equal(inv.Encode(), data) {
		return nil, fmt.Errorf("SU inventory %.60q: not in canonical form", inv.SU)
	}
	if err := inv.Check(); err != nil {
		return nil, fmt.Errorf("SU inventory %.60q: %w", inv.SU, err)
	}
	return inv, nil
}

func strict(data []byte, into any) error {
	if len(data) > MaxBody {
		return fmt.Errorf("%d bytes, expected at most %d", len(data), MaxBody)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.InputOffset() != int64(len(data)) {
		return fmt.Errorf("trailing data")
	}
	return nil
}

// Encode returns the JSON body of an inventory, equal to what encoding/json
// would write. The same inventory always gives the same bytes.
func (inv *SUInventory) Encode() []byte {
	data, err := json.Marshal(inv)
	if err != nil {
		panic(err) // plain structs of text and numbers always encode
	}
	return data
}

// Digest returns the digest of the inventory's body.
func (inv *SUInventory) Digest() claim.Digest { return claim.DigestOf(inv.Encode()) }
