package bundle

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/storage"
)

// Options are what a reader may add to its policy for one reading.
type Options struct {
	Since   []byte // a checkpoint that the tenant kept, beside the policy's own
	Workers int    // goroutines that check statements; 0: two
}

// ErrRejected is the error of a bundle that could be read and does not prove
// what the policy asks. The report says why.
var ErrRejected = errors.New("REJECTED")

// Verify reads a bundle and says what it proves. The report is nil where the
// bundle is no bundle, or not one that a trusted key signed; otherwise the
// report holds every finding, and the error is ErrRejected if there is one.
// The report is a function of bundle, policy and options.
// Cost: about 300 µs of CPU for each node holding, and memory for the tables of
// the scope: some hundred bytes a node.
func Verify(r io.ReaderAt, size int64, policy *Policy, opts Options) (*Report, error) {
	v, err := newVerifier(policy, opts)
	if err != nil {
		return nil, err
	}
	return v.verify(r, size)
}

type verifier struct {
	policy *Policy
	opts   Options
	skip   Check // disabled by the test that every check is tested
	budget *budget
	once   once

	contractCost int64            // bytes of the contract that was read last
	quoteCosts   map[string]int64 // of those of open quotes

	c        *container
	findings []Finding
	failed   int
	failures map[Check]int

	at   logEntry
	time time.Time // of the entry under way

	bodies  *frameReader
	unnamed *unnamedBody
	opened  map[claim.Digest]*opened
	workers *workers
	after   []judgement // that wait for statements, in order

	pins   []pin
	golden map[string][3]claim.Digest // by kind of node
	keys   map[string]attestationKey  // attestation keys by node

	consent    *consent
	tenant     string
	contracts  map[string]*contractLog
	quotes     map[string]*contract.Quoted
	sitting    map[lease.ID]bool // its nodes are those that the tenant was on
	leases     map[string]*leaseLog
	order      []*leaseLog // as they were bound
	nodes      map[string]*nodeLog
	numbers    map[uint32]*nodeLog
	claims     map[uint32][]slotRef // slots that want a node, by its number; the first holds it
	labels     map[ownedIn]*labelLog
	volumes    map[storage.VolumeID]*volumeLog
	postures   map[string]*fabric.Postures // by fabric
	units      map[string]*unitLog         // scalable units
	handed     map[string]handOver         // delivered by the entry under way or one of the same instant
	touched    []slotRef                   // slots to be looked at when the instant is over
	moved      []*nodeLog                  // nodes to be looked at then
	leaving    []leaving                   // the same, of leases that end
	intervals  []Interval
	number     int                  // invoices so far
	issued     map[string]issuedLog // by number
	disputes   map[disputeLog]disputeState
	noteNumber int // credit notes so far
	looks      meter.Looks
	told       []toldLooks
	billedTo   map[string]time.Time // by fabric, of the nodes under "": until when invoices have counted looks

	invoices []*InvoiceReport
	earlier  map[string][]*meter.Invoice // by contract
	proved   []claim.Claim
	report   *Report
	tally    tally
	working  map[string]int            // delivered nodes by project
	machines map[claim.Digest]*nodeLog // by chassis, attestation key and list of devices
	dirty    int                       // nodes taken back and not shown to be wiped
	signedBy string
	began    time.Time
	// assumptions of isolation certificates, each once
	assumptions []string
}

// judgement is what is judged once every statement was read, in the order of the log.
type judgement struct {
	at logEntry
	do func()
}

// later has something judged once every statement was read.
func (v *verifier) later(do func()) {
	v.budget.keep(perJudgement, "what is to be judged")
	v.after = append(v.after, judgement{v.at, do})
}

// pin is a checkpoint that the log must extend.
type pin struct {
	Checkpoint
	what string
	met  bool
}

func newVerifier(policy *Policy, opts Options) (*verifier, error) {
	if err := policy.Check(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	v := &verifier{
		policy: policy, opts: opts, failures: map[Check]int{},
		opened:    map[claim.Digest]*opened{},
		contracts: map[string]*contractLog{},
		quotes:    map[string]*contract.Quoted{}, quoteCosts: map[string]int64{},
		sitting:  map[lease.ID]bool{},
		leases:   map[string]*leaseLog{},
		nodes:    map[string]*nodeLog{},
		numbers:  map[uint32]*nodeLog{},
		claims:   map[uint32][]slotRef{},
		labels:   map[ownedIn]*labelLog{},
		volumes:  map[storage.VolumeID]*volumeLog{},
		postures: map[string]*fabric.Postures{},
		units:    map[string]*unitLog{},
		handed:   map[string]handOver{},
		billedTo: map[string]time.Time{},
		machines: map[claim.Digest]*nodeLog{},
		working:  map[string]int{},
		issued:   map[string]issuedLog{},
		disputes: map[disputeLog]disputeState{},
	}
	var err error
	if v.golden, err = policy.golden(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if v.consent, err = policy.consent(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if v.keys, err = policy.attestationKeys(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	for _, p := range []struct {
		what string
		data []byte
	}{{"policy's pinned checkpoint", []byte(policy.Pinned)}, {"checkpoint given as --since", opts.Since}} {
		if len(p.data) == 0 {
			continue
		}
		c, _, err := policy.openCheckpoint(p.data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.what, err)
		}
		if want := OriginOf(policy.Site, policy.Tenant); c.Origin != want {
			return nil, fmt.Errorf("%s: it is of %q, expected %q", p.what, c.Origin, want)
		}
		v.pins = append(v.pins, pin{Checkpoint: c, what: p.what})
	}
	return v, nil
}

func (v *verifier) verify(r io.ReaderAt, size int64) (report *Report, err error) {
	v.budget = newBudget(size)
	err = guarded(v.where, func() error {
		report, err = v.judge(r, size)
		return err
	})
	if fault := new(Fault); errors.Is(err, ErrBudget) || errors.As(err, &fault) {
		return nil, err
	}
	return report, err
}

// where is where the fold stands.
func (v *verifier) where() string { return v.at.String() }

func (v *verifier) judge(r io.ReaderAt, size int64) (*Report, error) {
	var err error
	if v.c, err = openContainer(r, size, v.policy.everTrusted(claim.PurposeStatement)); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	m := v.c.manifest
	if m.Site != v.policy.Site || m.Tenant != v.policy.Tenant {
		v.fail(logEntry{}, CheckScope, "", "it is of %s at %s, the policy is for %s at %s", m.Tenant, m.Site, v.policy.Tenant, v.policy.Site)
	}
	v.tenant = m.Tenant
	v.unpacks()
	entries := v.c.entries()
	defer entries.close()
	v.bodies = v.c.bodies()
	defer v.bodies.close()
	v.workers = newWorkers(v.opts.Workers)
	err = guarded(v.where, func() error {
		if err := v.fold(entries); err != nil {
			return err
		}
		return v.surplus()
	})
	if failed := v.workers.wait(); failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	for _, judge := range v.after {
		v.at = judge.at
		judge.do()
	}
	v.at = logEntry{}
	v.finish()
	slices.SortStableFunc(v.findings, func(a, b Finding) int {
		if a.Entry != b.Entry {
			return int(int64(a.Entry) - int64(b.Entry))
		}
		return 0
	})
	v.write()
	if v.failed > 0 {
		return v.report, fmt.Errorf("%w: %s", ErrRejected, v.findings[0])
	}
	return v.report, nil
}

// fold reads the entries in order and judges each by those before it.
func (v *verifier) fold(entries *frameReader) error {
	tree := ledger.NewTree()
	v.meet(tree)
	for {
		frame, err := entries.record(&v.c.manifest.Entries)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		e, err := ledger.Decode(frame)
		if err != nil {
			return fmt.Errorf("entry %d: %w", tree.Size()+1, err)
		}
		tree.Append(ledger.LeafHash(frame))
		v.meet(tree)
		if err := v.entry(&e, tree.Size()); err != nil {
			return err
		}
	}
	v.settle()
	return v.root(tree)
}

func (v *verifier) entry(e *ledger.Entry, seq uint64) error {
	at := logEntry{seq, e.Kind}
	if want := ScopeOf(v.tenant); e.Scope != want {
		v.fail(at, CheckScope, "", "it is of scope %.80q, expected %q", e.Scope, want)
	}
	if e.ScopeSeq != seq {
		v.fail(at, CheckSequence, "", "it says that it is entry %d: entries are missing or were moved", e.ScopeSeq)
	}
	if e.Time.Before(v.time) {
		v.fail(at, CheckTime, "", "it is of %s, the entry before it of %s", stamp(e.Time), stamp(v.time))
	}
	if !e.Time.Equal(v.time) {
		v.settle()
	}
	v.at, v.time = at, e.Time
	if seq == 1 {
		v.began = e.Time
	}
	v.budget.spend(64+len(e.Body)/stepBytes, "the entries")
	body, err := decodeBody(v.budget, e.Kind, e.Body)
	if err != nil {
		v.fail(at, CheckKind, "", "%v", err)
		return nil
	}
	if seq == 1 {
		if r, ok := body.(*Registered); !ok || r.Tenant != v.tenant {
			v.fail(at, CheckScope, "", "the first entry of a tenant's log registers the tenant %q", v.tenant)
		}
	}
	if err := v.open(body); err != nil {
		return err
	}
	v.apply(body)
	return nil
}

// root compares the log with its checkpoint and the pinned ones.
func (v *verifier) root(tree *ledger.Tree) error {
	c, key, err := v.policy.openCheckpoint([]byte(v.c.manifest.Checkpoint))
	if err != nil {
		v.fail(logEntry{}, CheckCheckpoint, "", "%v", err)
		text := v.c.manifest.Checkpoint
		for i := range text { // what it claims, for the report
			if text[i] == '\n' && i+1 < len(text) && text[i+1] == '\n' {
				c, _ = parseCheckpoint(text[:i+1])
				break
			}
		}
	} else if !key.validAt(v.time) {
		v.fail(logEntry{}, CheckCheckpoint, "", "its key is valid from %s until %s, the last entry is of %s", stamp(key.From), stamp(key.Until), stamp(v.time))
	}
	if want := OriginOf(v.policy.Site, v.policy.Tenant); c.Origin != want {
		v.fail(logEntry{}, CheckCheckpoint, "", "the checkpoint is of %.120q, expected %q", c.Origin, want)
	}
	if c.Size != tree.Size() || c.Root != tree.Root() {
		v.fail(logEntry{}, CheckRoot, "", "the checkpoint signs %d entries with root %s; these are %d with root %s", c.Size, c.Root, tree.Size(), tree.Root())
	}
	for _, p := range v.pins {
		if !p.met {
			v.fail(logEntry{}, CheckSince, "", "the %s has %d entries, this log has %d: it is older", p.what, p.Size, tree.Size())
		}
	}
	v.report = &Report{Checkpoint: c, Entries: tree.Size()}
	return nil
}

// meet compares the log with the checkpoints that were pinned at its size.
func (v *verifier) meet(tree *ledger.Tree) {
	for i := range v.pins {
		p := &v.pins[i]
		if p.Size != tree.Size() {
			continue
		}
		p.met = true
		if p.Size > 0 && tree.Root() != p.Root {
			v.fail(logEntry{}, CheckSince, "", "the %s signs %d entries with root %s, the first %d entries here have root %s: the owner has signed two different logs, keep both",
				p.what, p.Size, p.Root, p.Size, tree.Root())
		}
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "ever"
	}
	return t.UTC().Format(time.RFC3339)
}
