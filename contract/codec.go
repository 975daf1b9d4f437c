package contract

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
)

// Encode is the canonical JSON of a contract: fields in the order of the
// struct, instants in UTC, no spaces. Equal contracts have equal bytes.
func (c *Contract) Encode() []byte {
	return claim.Canonical(c.inUTC())
}

// Digest is the digest of the canonical JSON.
func (c *Contract) Digest() claim.Digest { return claim.DigestOf(c.Encode()) }

// Decode reads the canonical JSON of a contract and checks it. Anything else,
// be it another order of fields, a space or a repeated field, is refused: the
// digest of a contract is that of its meaning.
func Decode(data []byte) (*Contract, error) {
	c := &Contract{}
	if err := claim.Exact(data, 4*MaxFile, c); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if !bytes.Equal(c.Encode(), data) {
		return nil, errors.New("contract: not in canonical form: write contracts with Encode")
	}
	return c.inUTC(), nil
}

// inUTC is a deep copy with every instant in UTC, whole seconds apart from
// what Check would refuse anyway.
func (c *Contract) inUTC() *Contract {
	out := c.Clone()
	utc := func(instants ...*time.Time) {
		for _, t := range instants {
			*t = t.UTC()
		}
	}
	utc(&out.Effective, &out.Begin, &out.End, &out.FirmUntil)
	for i := range out.Tranches {
		utc(&out.Tranches[i].Delivery, &out.Tranches[i].End)
	}
	for i := range out.Rates {
		utc(&out.Rates[i].From, &out.Rates[i].To)
	}
	for i := range out.Storage {
		utc(&out.Storage[i].From, &out.Storage[i].To)
	}
	if out.Prepaid != nil {
		utc(&out.Prepaid.From)
	}
	if z := out.ZoneRules; z != nil {
		utc(&z.From, &z.Until)
		for i := range z.Changes {
			utc(&z.Changes[i].At)
		}
	}
	return out
}

// Clone is a copy that shares nothing with c.
func (c *Contract) Clone() *Contract {
	out := *c
	if c.ZoneRules != nil {
		v := *c.ZoneRules
		v.Changes = slices.Clone(v.Changes)
		out.ZoneRules = &v
	}
	out.Tranches = slices.Clone(c.Tranches)
	for i := range out.Tranches {
		out.Tranches[i].Volumes = slices.Clone(out.Tranches[i].Volumes)
		out.Tranches[i].Kinds = slices.Clone(out.Tranches[i].Kinds)
	}
	out.Rates = slices.Clone(c.Rates)
	for i := range out.Rates {
		out.Rates[i].Tranches = slices.Clone(out.Rates[i].Tranches)
	}
	out.SLA = slices.Clone(c.SLA)
	for i := range out.SLA {
		out.SLA[i].Tiers = slices.Clone(out.SLA[i].Tiers)
		out.SLA[i].Exclusions = slices.Clone(out.SLA[i].Exclusions)
	}
	out.Storage = slices.Clone(c.Storage)
	out.Termination = slices.Clone(c.Termination)
	if c.TakeOrPay != nil {
		v := *c.TakeOrPay
		v.Tranches = slices.Clone(v.Tranches)
		out.TakeOrPay = &v
	}
	if c.Prepaid != nil {
		v := *c.Prepaid
		out.Prepaid = &v
	}
	if c.Tax != nil {
		v := *c.Tax
		out.Tax = &v
	}
	if c.Ending != nil {
		v := *c.Ending
		out.Ending = &v
	}
	return &out
}
