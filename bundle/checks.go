package bundle

import (
	"fmt"
	"strings"

	"bulkhead/claim"
)

// Check is one thing that Verify insists on. Removing any of them from the
// verifier turns a test red.
type Check string

// The checks, by what they are about.
const (
	// The log.
	CheckScope      Check = "scope"
	CheckKind       Check = "kind"
	CheckSequence   Check = "sequence"
	CheckTime       Check = "time"
	CheckCheckpoint Check = "checkpoint"
	CheckRoot       Check = "root"
	CheckSince      Check = "since"
	CheckBody       Check = "body"
	CheckSurplus    Check = "surplus"
	CheckSigner     Check = "signer"

	// What was promised.
	CheckContract  Check = "contract"
	CheckAct       Check = "act"
	CheckBound     Check = "bound"
	CheckSlotTwice Check = "slot-twice"
	CheckReturn    Check = "return"
	CheckReturned  Check = "returned"
	CheckPhase     Check = "phase"
	CheckAge       Check = "age"

	// The tenant's own acts.
	CheckTenantKey Check = "tenant-key"
	CheckAssent    Check = "assent"
	CheckEffective Check = "effective"
	CheckPinned    Check = "pinned-contract"

	// How nodes change hands.
	CheckName         Check = "name"
	CheckArrow        Check = "arrow"
	CheckNodeState    Check = "node-state"
	CheckNodeSequence Check = "node-sequence"
	CheckTurnoverTurn Check = "turnover-number"
	CheckEvidence     Check = "evidence"
	CheckTurnover     Check = "turnover"
	CheckStatement    Check = "statement"
	CheckSever        Check = "fence"
	CheckSlotNode     Check = "slot-holder"
	CheckHandOver     Check = "hand-over"
	CheckSwap         Check = "swap"
	CheckUnasked      Check = "unasked"
	CheckStayed       Check = "stayed"

	// Isolation.
	CheckLabel     Check = "label"
	CheckIsolation Check = "isolation"
	CheckCovers    Check = "covers"
	CheckSpans     Check = "spans"

	CheckContradiction Check = "contradiction"

	CheckVerdict    Check = "verdict"
	CheckEpoch      Check = "epoch"
	CheckExposed    Check = "exposed"
	CheckUnfounded  Check = "unfounded"
	CheckMaker      Check = "maker"
	CheckSlotUp     Check = "slot-up"
	CheckSlotRange  Check = "slot-range"
	CheckSilence    Check = "silence"
	CheckNotExposed Check = "drift"

	CheckHermetic Check = "hermetic"

	CheckProbe   Check = "probe"
	CheckPosture Check = "posture"

	// Storage.
	CheckVolume  Check = "volume"
	CheckGrant   Check = "grant"
	CheckRevoked Check = "revoked"
	CheckErased  Check = "erased"

	// Money.
	CheckInvoiceNumber Check = "invoice-number"
	CheckInvoiceTwice  Check = "invoice-twice"
	CheckInvoice       Check = "invoice"
	CheckInvoiceEntry  Check = "invoice-entry"
	CheckLooks         Check = "looks"
	CheckDispute       Check = "dispute"

	// The tenant's own demands.
	CheckOrigin Check = "origin"
	CheckGrade  Check = "grade"
)

// Checks lists every check with what it insists on, in the order in which a
// reader would ask.
func Checks() []struct {
	Name Check
	Says string
} {
	return append(checks[:0:0], checks...)
}

var checks = []struct {
	Name Check
	Says string
}{
	{CheckScope, "the bundle is of the policy's site and tenant, and every entry is in that tenant's scope"},
	{CheckKind, "every entry is of a kind that this release understands, and has that kind's shape"},
	{CheckSequence, "entries count from 1 without a gap"},
	{CheckTime, "time does not run backwards"},
	{CheckCheckpoint, "the checkpoint is signed by a key that the policy trusts and that was valid then, for this log"},
	{CheckRoot, "the entries are exactly those that the checkpoint signs"},
	{CheckSince, "the log extends every checkpoint that the tenant pinned"},
	{CheckBody, "every body that an entry names is there and has the digest by which it is named"},
	{CheckSurplus, "the bundle holds no body that no entry names"},
	{CheckSigner, "every statement is signed by a key that the policy trusts and that was valid then"},
	{CheckContract, "contracts are whole, their versions follow their own rules, and a lease's contract is in force"},
	{CheckTenantKey, "a key of the tenant's is registered by who holds it, and by one that counted before; it is revoked likewise"},
	{CheckAssent, "each version of a contract is in force by the tenant's own act: signed by a key of its own once it has one, by one that the policy names if it names any, and by its notice clause otherwise"},
	{CheckEffective, "no version of a contract is effective before it was signed"},
	{CheckPinned, "each version of a contract is one that the policy pins, if it pins any"},
	{CheckAct, "an act under a contract is of the party that the terms name, and comes to what the terms make of it"},
	{CheckBound, "a lease holds what its tranche promises"},
	{CheckSlotTwice, "no node is in two slots"},
	{CheckReturn, "a lease ends when its contract says"},
	{CheckReturned, "a lease counts as returned when each of its nodes is wiped, or quarantined and counted"},
	{CheckPhase, "what is said of a lease, a contract or a label is said in a phase of its life in which it can be"},
	{CheckAge, "evidence is neither older than what it shows, nor of after the entry that names it"},
	{CheckName, "a node has one name and one number"},
	{CheckArrow, "nodes move along allowed arrows"},
	{CheckNodeState, "a node moves from the state that it is in"},
	{CheckNodeSequence, "the moves of a node have no gap while it is the tenant's, or may hold the tenant's data"},
	{CheckTurnoverTurn, "turnovers of a node are counted, one for each time that it is given back"},
	{CheckEvidence, "an arrow that needs evidence names it"},
	{CheckTurnover, "a turnover statement passes: a receipt for every device, read-back clean, TPM quote, firmware"},
	{CheckStatement, "a turnover statement is about the node, the serial and the turnover that the entry says, and about a machine of its own"},
	{CheckSever, "a fenced node carries none of the tenant's labels and has no grant or session left"},
	{CheckSlotNode, "what is delivered or swapped is the node that the slot holds"},
	{CheckHandOver, "each hand-over of a node and its move to delivered name each other"},
	{CheckSwap, "a replacement is proposed, then acknowledged, then made, as proposed; or withdrawn before it is acknowledged"},
	{CheckUnasked, "a node leaves its slot on somebody's word: the tenant's, a person's when the tenant's time is up, or the log's that it is down or was not delivered"},
	{CheckStayed, "a node that left its slot is reclaimed at once"},
	{CheckLabel, "the tenant's labels have one owner: the tenant's own project"},
	{CheckIsolation, "an isolation certificate checks, and is of this lease"},
	{CheckCovers, "an isolation certificate covers the nodes that are delivered on it, and a verdict all that are delivered and no others"},
	{CheckSpans, "an isolation certificate shows every port of each node on every fabric that the lease spans, and its NVLink domains where a rack is one"},
	{CheckContradiction, "no verdict is proven while the log says that a port is red or unread, and no port is closed that it names no drift of"},
	{CheckVerdict, "an isolation verdict is what its certificate says"},
	{CheckEpoch, "isolation verdicts of a lease count without a gap"},
	{CheckNotExposed, "no node is delivered while a port of it is known to be red or unread"},
	{CheckExposed, "a slot whose isolation is not proven is not billed as up"},
	{CheckUnfounded, "a slot is unproven only for a drift or an unread leaf that the log names"},
	{CheckMaker, "what is not proven is billed by who could have made it, as the table of findings says, and port by port"},
	{CheckSlotUp, "a slot is up only while a delivered node is in it"},
	{CheckSlotRange, "slots and states are those of the lease"},
	{CheckSilence, "a slot is unknown from when its node was last heard, and not from before something was said of it; nothing else reaches back"},
	{CheckPosture, "nothing is handed over on a fabric whose management is known not to be guarded"},
	{CheckHermetic, "a lease has the class of links that its tranche promises; a hermetic one has enough of its own for any permutation of its traffic, and no node outside them"},
	{CheckProbe, "a probe that the tenant filed is signed by its own key, says what its entry says, and reached nothing that it must not"},
	{CheckVolume, "volumes are those that the contract sells, each made once"},
	{CheckGrant, "volumes are granted to the tenant's own leases while they run, and before nodes are handed over"},
	{CheckRevoked, "access to a volume ends with a receipt that shows it denied, before nodes count as fenced or a lease as returned"},
	{CheckErased, "a volume is destroyed when its contract is over and nobody can reach it, with a receipt that nothing is left"},
	{CheckInvoiceNumber, "invoice numbers have no gap"},
	{CheckInvoiceTwice, "no month of a contract is invoiced twice"},
	{CheckInvoice, "an invoice is, byte by byte, what follows from the contract and the entries"},
	{CheckInvoiceEntry, "the entry of an invoice says what the invoice says"},
	{CheckDispute, "a dispute holds one line of an invoice, and ends in a credit note of no more than that line, or in a refusal"},
	{CheckLooks, "what the log says of looks at devices is in order, of the past, and never of a month that was invoiced before"},
	{CheckOrigin, "evidence comes from a kind of machine that the policy accepts"},
	{CheckGrade, "claims are as strong as the policy asks"},
}

// Finding is one reason to reject a bundle.
type Finding struct {
	Check   Check  `json:"check"`
	Entry   uint64 `json:"entry,omitempty"` // scope's entry number; 0: the bundle as a whole
	Kind    string `json:"kind,omitempty"`  // of the entry
	Subject string `json:"subject,omitempty"`
	Reason  string `json:"reason"`
}

func (f Finding) String() string {
	where := "bundle"
	if f.Entry != 0 {
		where = fmt.Sprintf("entry %d (%s)", f.Entry, f.Kind)
	}
	if f.Subject != "" {
		where += ", " + f.Subject
	}
	return claim.Line(fmt.Sprintf("%s: %s [%s]", where, f.Reason, f.Check))
}

// maxFindings bounds how many findings a report lists; the others are counted.
const maxFindings = 200

// short is a text cut to so many bytes.
func short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// logEntry is where something stands in the log.
type logEntry struct {
	entry uint64
	kind  string
}

// fail records a finding. Verification goes on, so that a report names
// everything that is wrong.
func (v *verifier) fail(at logEntry, check Check, subject, format string, args ...any) {
	if v.skip == check {
		return
	}
	v.budget.spend(8, "what is wrong with it")
	v.failed++
	v.failures[check]++
	if len(v.findings) < maxFindings {
		v.findings = append(v.findings, Finding{Check: check, Entry: at.entry, Kind: short(at.kind, 100), Subject: short(subject, 200), Reason: short(fmt.Sprintf(format, args...), 1000)})
	}
}
