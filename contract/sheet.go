package contract

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/lease"
)

// Sheet is what is shown of an act before it is done. The digest of its bytes is what is
// confirmed, and what a key signs.
type Sheet interface {
	Encode() []byte
	Text() string
}

// ReadSheet reads the bytes of a sheet of an act under a contract, and nothing else, so
// that who signs reads what is signed and not what a server makes of it.
func ReadSheet(act Act, contract string, data []byte) (Sheet, error) {
	var sheet Sheet
	var err error
	var is Act
	var of string
	if rule, _ := RuleOf(act); rule.Confirm {
		p := &Preview{}
		err = claim.Exact(data, MaxFile, p)
		sheet, is, of = p, p.Act, p.Contract
	} else {
		n := &ActSheet{}
		err = claim.Exact(data, MaxFile, n)
		sheet, is, of = n, n.Act, n.Contract
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("what is shown of the act: %w", err)
	case !bytes.Equal(sheet.Encode(), data):
		return nil, errors.New("what is shown of the act: not in canonical form")
	case is != act || contract != "" && of != contract:
		return nil, fmt.Errorf("what is shown is of %.40q under contract %.80q, expected %s under %s", string(is), of, act, contract)
	}
	return sheet, nil
}

// ActSheet is the sheet of an act that makes no new version: each line of it, in order.
type ActSheet struct {
	Act      Act         `json:"act"`
	Party    string      `json:"party"`
	Contract string      `json:"contract"`
	Lines    []SheetLine `json:"lines"`
}

// SheetLine is one line of a sheet.
type SheetLine struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

// NewActSheet begins a sheet.
func NewActSheet(act Act, party, contract string) *ActSheet {
	return &ActSheet{Act: act, Party: party, Contract: contract}
}

// Add writes a line.
func (n *ActSheet) Add(name, format string, args ...any) *ActSheet {
	n.Lines = append(n.Lines, SheetLine{name, fmt.Sprintf(format, args...)})
	return n
}

// Says is a line by its name; "" where there is none.
func (n *ActSheet) Says(name string) string {
	for _, l := range n.Lines {
		if l.Name == name {
			return l.Says
		}
	}
	return ""
}

// Encode is the canonical JSON.
func (n *ActSheet) Encode() []byte { return claim.Canonical(n) }

// Digest is what is confirmed, and what is signed.
func (n *ActSheet) Digest() claim.Digest { return claim.DigestOf(n.Encode()) }

// Text is the page that a person reads before the act.
func (n *ActSheet) Text() string {
	var b strings.Builder
	line := func(name, says string) { fmt.Fprintf(&b, "%-12s %s\n", claim.Line(name), claim.Line(says)) }
	rule, _ := RuleOf(n.Act)
	line("act", fmt.Sprintf("%s, by the %s: %s", n.Act, n.Party, rule.Says))
	line("contract", n.Contract)
	for _, l := range n.Lines {
		line(l.Name, l.Says)
	}
	line("digest", n.Digest().String())
	return b.String()
}

// AnswerSheet is what the tenant's yes to another node for a slot comes to.
func AnswerSheet(contract string, p *lease.Proposed) *ActSheet {
	n := NewActSheet(ActAcknowledge, Tenant, contract)
	n.Add("slot", "%d of %s", p.Slot, p.Lease)
	n.Add("leaves", "%s: what runs on it ends, and what lies on its drives is lost", p.Was)
	n.Add("comes", "%s, which is clean; the slot keeps its rank", p.Node)
	n.Add("reason", "%s", p.Reason)
	switch {
	case p.Requested:
		n.Add("word", "yours: the slot is billed as the tenant's until the next node is delivered")
	case p.By != "":
		n.Add("word", "%s has proposed it; without an answer it is made at the deadline", p.By)
	default:
		n.Add("word", "the owner's loop has proposed it; without an answer it is made at the deadline")
	}
	return n.Add("deadline", "%s", p.Deadline.UTC().Format(time.RFC3339Nano))
}

// MovesSheet is what the tenant's yes to moves of its nodes comes to.
func MovesSheet(contract string, p *lease.DefragProposed) *ActSheet {
	n := NewActSheet(ActConsent, Tenant, contract)
	n.Add("proposal", "%d for %s", p.Proposal, p.Lease)
	n.Add("slots", "%s", p.Slots)
	n.Add("nodes", "%s: what runs on the old ones ends, one after the other, each with a deadline of its own", p.Nodes)
	return n.Add("reason", "%s", p.Reason)
}
