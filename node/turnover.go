package node

import (
	"bytes"
	"encoding/json"
	"fmt"

	"bulkhead/claim"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// TurnoverPredicate is the type of the one signed statement a node and turnover.
const TurnoverPredicate = "bulkhead/turnover/2"

// Evidence is what a node reports for a step, as JSON in Report.Raw.
type Evidence struct {
	Receipts []wipe.SanitizeReceipt // of a wipe
	Quote    *attest.Quote          // of an attestation
	BurnIn   *BurnIn                // of an attestation
	Sessions int                    // of severing: BMC sessions still open
	Grants   int                    // of severing: storage grants still live
}

// evidenceJSON is how evidence is read, with R for its receipts.
type evidenceJSON[R any] struct {
	Receipts R             `json:"receipts"`
	Quote    *attest.Quote `json:"quote"`
	BurnIn   *BurnIn       `json:"burn_in"`
	Sessions int           `json:"bmc_sessions"`
	Grants   int           `json:"storage_grants"`
}

// MarshalJSON writes receipts grouped, see wipe.Grouped, and leaves out what is
// not there. It is put together by hand: a wave of turnovers writes thousands.
func (e Evidence) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 8192), '{')
	if len(e.Receipts) > 0 {
		out = append(wipe.Grouped(e.Receipts).AppendJSON(append(out, `"receipts":`...)), ',')
	}
	for _, part := range []struct {
		field string
		value any
		there bool
	}{{`"quote":`, e.Quote, e.Quote != nil}, {`"burn_in":`, e.BurnIn, e.BurnIn != nil}} {
		if part.there {
			encoded, err := json.Marshal(part.value)
			if err != nil {
				return nil, err
			}
			out = append(append(append(out, part.field...), encoded...), ',')
		}
	}
	return fmt.Appendf(out, `"bmc_sessions":%d,"storage_grants":%d}`, e.Sessions, e.Grants), nil
}

// UnmarshalJSON reads what MarshalJSON writes; unknown fields are refused.
func (e *Evidence) UnmarshalJSON(data []byte) error {
	if rest, receipts, ok := lift(data); ok {
		var j evidenceJSON[lifted]
		if strict(evidenceLifted, rest, &j) == nil && j.Receipts.times == 1 {
			*e = Evidence{receipts, j.Quote, j.BurnIn, j.Sessions, j.Grants}
			return nil
		}
	}
	var j evidenceJSON[grouped]
	if err := strict(evidenceWhole, data, &j); err != nil {
		return err
	}
	*e = Evidence{j.Receipts, j.Quote, j.BurnIn, j.Sessions, j.Grants}
	return nil
}

// BurnIn is the acceptance run after a turnover, between the last wipe and the
// TPM quote.
type BurnIn struct {
	GPUs    int     `json:"gpus"` // that answered
	Minutes int     `json:"minutes"`
	GBps    float64 `json:"gbps"` // all-reduce inside the node, bus bandwidth
	Errors  int     `json:"errors"`
}

// The least that passes: ten minutes, and a good part of the 450 GB/s a
// direction that NVLink gives a GPU of the H100 and H200.
const (
	BurnInMinutes = 10
	BurnInGBps    = 300
)

// Turnover is the predicate of the statement: everything that was done between
// two tenants, and what it is bound to. It names no tenant, so the same
// statement serves the one who left and the one who comes.
type Turnover struct {
	Node     string                 `json:"node"`
	Serial   string                 `json:"serial"`
	Kind     string                 `json:"kind"`
	Turnover uint32                 `json:"turnover"`
	Origin   claim.Origin           `json:"origin"`
	Root     claim.Digest           `json:"ledger_root"` // when the quote was asked for
	WipeRoot claim.Digest           `json:"wipe_root"`   // the same, when the wipe was
	Devices  claim.Digest           `json:"devices"`     // site.DeviceDigest of the inventory
	Key      site.PublicKey         `json:"attestation_key"`
	Golden   [3]claim.Digest        `json:"golden_pcrs"`
	Receipts []wipe.SanitizeReceipt `json:"receipts"` // in JSON grouped, see wipe.Grouped
	Quote    *attest.Quote          `json:"quote"`
	BurnIn   *BurnIn                `json:"burn_in"`
}

// grouped is receipts as JSON holds them.
type grouped []wipe.SanitizeReceipt

func (g *grouped) UnmarshalJSON(data []byte) (err error) {
	*g, err = wipe.Parse(data)
	return err
}

// turnoverHead is what stands before the receipts in JSON.
type turnoverHead struct {
	Node     string          `json:"node"`
	Serial   string          `json:"serial"`
	Kind     string          `json:"kind"`
	Turnover uint32          `json:"turnover"`
	Origin   claim.Origin    `json:"origin"`
	Root     claim.Digest    `json:"ledger_root"`
	WipeRoot claim.Digest    `json:"wipe_root"`
	Devices  claim.Digest    `json:"devices"`
	Key      site.PublicKey  `json:"attestation_key"`
	Golden   [3]claim.Digest `json:"golden_pcrs"`
}

// turnoverJSON is how a turnover is read, with R for its receipts.
type turnoverJSON[R any] struct {
	turnoverHead
	Receipts R             `json:"receipts"`
	Quote    *attest.Quote `json:"quote"`
	BurnIn   *BurnIn       `json:"burn_in"`
}

func (j *turnoverJSON[R]) turnover(receipts []wipe.SanitizeReceipt) Turnover {
	return Turnover{j.Node, j.Serial, j.Kind, j.Turnover, j.Origin, j.Root, j.WipeRoot, j.Devices, j.Key, j.Golden, receipts, j.Quote, j.BurnIn}
}

// MarshalJSON writes receipts grouped, see wipe.Grouped.
func (t Turnover) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil) }

// AppendJSON implements claim.Appender. It is put together by hand, so that what is
// long is not read through again: a wave of turnovers writes thousands.
func (t Turnover) AppendJSON(out []byte) ([]byte, error) {
	head, err := json.Marshal(turnoverHead{t.Node, t.Serial, t.Kind, t.Turnover, t.Origin, t.Root, t.WipeRoot, t.Devices, t.Key, t.Golden})
	if err != nil {
		return nil, err
	}
	quote, err := json.Marshal(t.Quote)
	if err != nil {
		return nil, err
	}
	burnIn, err := json.Marshal(t.BurnIn)
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = make([]byte, 0, len(head)+len(quote)+len(burnIn)+256*len(t.Receipts)+64)
	}
	out = append(out, bytes.TrimSuffix(head, []byte("}"))...)
	out = wipe.Grouped(t.Receipts).AppendJSON(append(out, `,"receipts":`...))
	out = append(append(out, `,"quote":`...), quote...)
	return append(append(append(out, `,"burn_in":`...), burnIn...), '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes; unknown fields are refused.
func (t *Turnover) UnmarshalJSON(data []byte) error {
	if rest, receipts, ok := lift(data); ok {
		var j turnoverJSON[lifted]
		if strict(turnoverLifted, rest, &j) == nil && j.Receipts.times == 1 {
			*t = j.turnover(receipts)
			return nil
		}
	}
	var j turnoverJSON[grouped]
	if err := strict(turnoverWhole, data, &j); err != nil {
		return err
	}
	*t = j.turnover(j.Receipts)
	return nil
}

// maxEvidence is the size in bytes of evidence or a predicate that is decoded: a
// node with the most receipts has a tenth of it.
const maxEvidence = 1 << 20

// The shapes of the two, with their receipts lifted out or where they are.
var (
	evidenceLifted = claim.ShapeOf[evidenceJSON[lifted]]()
	evidenceWhole  = claim.ShapeOf[evidenceJSON[grouped]]()
	turnoverLifted = claim.ShapeOf[turnoverJSON[lifted]]()
	turnoverWhole  = claim.ShapeOf[turnoverJSON[grouped]]()
)

func strict(shape *claim.Shape, data []byte, into any) error {
	if len(data) > maxEvidence {
		return fmt.Errorf("%d bytes, expected at most %d", len(data), maxEvidence)
	}
	return shape.Decode(data, into)
}

// DecodeEvidence reads a report's evidence; unknown fields are refused.
func DecodeEvidence(raw []byte) (Evidence, error) {
	var e Evidence
	if err := e.UnmarshalJSON(raw); err != nil {
		return Evidence{}, fmt.Errorf("evidence: %w", err)
	}
	return e, nil
}

// DecodeTurnover reads the predicate of a turnover statement; unknown fields are
// refused. Cost: about 35 µs.
func DecodeTurnover(predicate []byte) (*Turnover, error) {
	t := new(Turnover)
	if err := t.UnmarshalJSON(predicate); err != nil {
		return nil, fmt.Errorf("turnover: %w", err)
	}
	return t, nil
}
