package node

import (
	"errors"
	"fmt"

	"bulkhead/claim"
	"bulkhead/node/attest"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// Expected is what a turnover is compared with: the inventory's word, or in a
// verifier the tenant's.
type Expected struct {
	Node     string
	Serial   string
	Turnover uint32
	Root     claim.Digest
	WipeRoot claim.Digest
	Devices  claim.Digest
	Key      site.PublicKey
	Golden   [3]claim.Digest
	Origin   claim.Origin
}

// ErrEvidence is wrapped by every refusal of CheckTurnover.
var ErrEvidence = errors.New("turnover evidence refused")

// refusal carries the name of the check that failed.
type refusal struct {
	name string
	err  error
}

func (r *refusal) Error() string        { return ErrEvidence.Error() + ": " + r.name + ": " + r.err.Error() }
func (r *refusal) Unwrap() error        { return r.err }
func (r *refusal) Is(target error) bool { return target == ErrEvidence }

// RefusedBy returns the name of the check that refused a turnover, one of
// TurnoverChecks, or "" when err is no such refusal.
func RefusedBy(err error) string {
	var r *refusal
	if !errors.As(err, &r) {
		return ""
	}
	var inner interface{ Check() string }
	if errors.As(r.err, &inner) {
		return r.name + "/" + inner.Check()
	}
	return r.name
}

// CheckTurnover says whether a turnover is complete and true to what is
// expected. The book runs it before a node may go on, and the verifier runs it
// again. It is pure, and the first failure in a fixed order is returned. Cost:
// about 130 µs, most of it the signature of the quote.
func CheckTurnover(t *Turnover, e Expected) error { return checkExcept(t, e, "") }

// checkExcept leaves out one check, for the test that none is idle.
func checkExcept(t *Turnover, e Expected, without string) error {
	for i := range turnoverChecks {
		if turnoverChecks[i].name == without {
			continue
		}
		if err := turnoverChecks[i].check(t, &e); err != nil {
			return &refusal{turnoverChecks[i].name, err}
		}
	}
	return nil
}

// TurnoverChecks returns the names of all checks, in the order in which they are
// made. Those of receipts and of the TPM quote are named "wipe/..." and
// "attest/...".
func TurnoverChecks() []string {
	var names []string
	for i := range turnoverChecks {
		switch name := turnoverChecks[i].name; name {
		case "wipe":
			for _, inner := range wipe.Checks() {
				names = append(names, name+"/"+inner)
			}
		case "attest":
			for _, inner := range attest.Checks() {
				names = append(names, name+"/"+inner)
			}
		default:
			names = append(names, name)
		}
	}
	return names
}

// turnoverCheck is one named reason to refuse a turnover.
type turnoverCheck struct {
	name  string
	check func(t *Turnover, e *Expected) error
}

func differs[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %v, expected %v", what, got, want)
}

// countGPUs counts the GPUs that were wiped.
func countGPUs(receipts []wipe.SanitizeReceipt) int {
	n := 0
	for i := range receipts {
		if receipts[i].Class == site.ClassGPU {
			n++
		}
	}
	return n
}

var turnoverChecks = []turnoverCheck{
	{"node", func(t *Turnover, e *Expected) error { return differs("node", t.Node, e.Node) }},
	{"serial", func(t *Turnover, e *Expected) error { return differs("chassis serial", t.Serial, e.Serial) }},
	{"turnover", func(t *Turnover, e *Expected) error { return differs("turnover", t.Turnover, e.Turnover) }},
	{"origin", func(t *Turnover, e *Expected) error {
		if !t.Origin.Valid() {
			return fmt.Errorf("origin is %.40q, expected hardware, emulated or simulated", string(t.Origin))
		}
		return differs("origin", t.Origin, e.Origin)
	}},
	{"root", func(t *Turnover, e *Expected) error {
		if err := differs("ledger root", t.Root, e.Root); err != nil {
			return err
		}
		return differs("ledger root of the wipe", t.WipeRoot, e.WipeRoot)
	}},
	{"key", func(t *Turnover, e *Expected) error { return differs("attestation key", t.Key, e.Key) }},
	{"golden", func(t *Turnover, e *Expected) error {
		for i := range t.Golden {
			if err := differs(fmt.Sprintf("golden value of PCR %d", attest.PCRs[i]), t.Golden[i], e.Golden[i]); err != nil {
				return err
			}
		}
		return nil
	}},
	{"devices", func(t *Turnover, e *Expected) error {
		return differs("digest of the device list", t.Devices, e.Devices)
	}},
	{"wipe", func(t *Turnover, e *Expected) error {
		if err := wipe.Check(e.Devices, t.Receipts); err != nil {
			return err
		}
		return wipe.CheckPlaces(t.Receipts)
	}},
	{"nonce", func(t *Turnover, e *Expected) error {
		if err := wipe.CheckNonce(Nonce(e.WipeRoot, e.Node, e.Turnover), t.Receipts); err != nil {
			return errors.New(err.Error()) // the name is this check's
		}
		return nil
	}},
	{"burn-in", func(t *Turnover, e *Expected) error {
		switch b := t.BurnIn; {
		case b == nil:
			return errors.New("no burn-in")
		case b.GPUs != countGPUs(t.Receipts): // all that were wiped, and these are all that there are
			return fmt.Errorf("%d GPUs answered, expected %d", b.GPUs, countGPUs(t.Receipts))
		case b.Errors != 0:
			return fmt.Errorf("%d errors", b.Errors)
		case b.Minutes < BurnInMinutes || b.Minutes > 30*24*60:
			return fmt.Errorf("%d minutes, expected at least %d", b.Minutes, BurnInMinutes)
		case !(b.GBps >= BurnInGBps): // not a number is not enough either
			return fmt.Errorf("all-reduce at %g GB/s, expected at least %d", b.GBps, BurnInGBps)
		}
		return nil
	}},
	{"order", func(t *Turnover, e *Expected) error {
		if t.Quote == nil || t.BurnIn == nil {
			return nil // missed by checks of their own
		}
		for i := range t.Receipts {
			if r := &t.Receipts[i]; r.End+60*int64(t.BurnIn.Minutes) > t.Quote.At {
				return fmt.Errorf("%s %s was wiped until %d, a burn-in of %d minutes followed, and the quote is of %d", r.Class, r.Serial, r.End, t.BurnIn.Minutes, t.Quote.At)
			}
		}
		return nil
	}},
	{"attest", func(t *Turnover, e *Expected) error {
		key, err := e.Key.Verifier()
		if err != nil {
			return &attest.Refusal{Name: "signature", Reason: err.Error()}
		}
		return attest.Check(t.Quote, attest.Expected{Key: key, Nonce: Nonce(e.Root, e.Node, e.Turnover), Golden: e.Golden}, t.Receipts)
	}},
}
