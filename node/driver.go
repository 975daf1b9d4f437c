package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"bulkhead/claim"
	"bulkhead/lineage"
	"bulkhead/site"
)

// The kinds of step.
const (
	StepCommission = "commission" // wipe and attest a new node
	StepSever      = "fence"      // close sessions, revoke what is not a label
	StepSanitize   = "sanitize"   // wipe every device
	StepAttest     = "attest"     // measure firmware and boot chain
	StepPowerOff   = "power-off"  // power it off
	StepRepair     = "repair"     // ask people to mend it; ends when they have
)

// Step is one thing to do on one node. The same ID is the same step: giving it
// twice is giving it once.
type Step struct {
	ID       string     `json:"id"`
	Node     site.Index `json:"node"`
	Kind     string     `json:"kind"`
	Turnover uint32     `json:"turnover"`
	Attempt  int        `json:"attempt"`
	Nonce    [32]byte   `json:"nonce"`
}

// Fence orders writers; see its package.
type Fence = lineage.Fence

// StepReceipt says that a step was taken, not that it succeeded.
type StepReceipt struct {
	Step  string `json:"step"`
	Taken bool   `json:"taken"`
	Error string `json:"error,omitempty"`
}

// Health is what devices say about a node: two facts. Whether it answers, and what
// ails its hardware, which others may know of a node that does not.
type Health struct {
	Class  string `json:"class"` // gpu-reset | link-flap | part-swap | return-to-vendor
	Alive  bool   `json:"alive"` // it still answers
	Failed bool   `json:"failed"`
	Detail string `json:"detail"`
}

// Report is one thing that a node said: the outcome of a step, or its health. Of a
// node that does not answer, At is when it last did, by the clock of Observation.At.
type Report struct {
	Node   site.Index `json:"node"`
	At     time.Time  `json:"at"`
	Step   string     `json:"step,omitempty"` // id of the step, for an outcome
	OK     bool       `json:"ok"`
	Error  string     `json:"error,omitempty"`
	Health *Health    `json:"health,omitempty"`
	Raw    []byte     `json:"raw,omitempty"` // evidence, in the device's own words: see Evidence
}

// Observation is what was said since a cursor, oldest first. Since 0 it holds,
// for every node that a step was given to, the newest outcome, and the health of
// those that are not well. A cursor that the driver never gave is taken for 0.
type Observation struct {
	Cursor  uint64    `json:"cursor"` // of the last report here; give it as since next time
	At      time.Time `json:"at"`
	Reports []Report  `json:"reports"`
	More    bool      `json:"more,omitempty"` // there is more already: a driver may answer in parts
}

// Capabilities is what a driver can do.
type Capabilities struct {
	Fencing  string        `json:"fencing"` // "device" | "deadline"
	Deadline time.Duration `json:"deadline"`
	Origin   claim.Origin  `json:"origin"`
}

// Driver drives all nodes of a site. nodetest.Run is what every Driver passes.
type Driver interface {
	Capabilities(ctx context.Context) (Capabilities, error)
	// Apply starts steps and returns a receipt for each, in order; outcomes come
	// by Observe. A fence that is not admitted after one that was seen (Fence.Admit)
	// refuses all of them (lineage.ErrFenced), also where there is none: no steps show a fence
	// to the devices. A node that does
	// not answer, or is not there, is named in its receipt. A step given before is
	// taken again without effect; a new one supersedes the node's unended one.
	Apply(ctx context.Context, steps []Step, f Fence) ([]StepReceipt, error)
	// Observe returns what nodes have said since a cursor, 0 for all that counts.
	// It never asks for anything to be done, and may be asked again.
	Observe(ctx context.Context, since uint64) (Observation, error)
}

// Nonce binds a TPM quote to the ledger's root when it was asked for, the node
// and the turnover: an old quote answers none of today's questions.
func Nonce(root claim.Digest, nodeID string, turnover uint32) [32]byte {
	h := sha256.New()
	h.Write([]byte("bulkhead/nonce/1\x00"))
	h.Write(root[:])
	h.Write(binary.BigEndian.AppendUint32(nil, turnover))
	h.Write([]byte(nodeID))
	return [32]byte(h.Sum(nil))
}
