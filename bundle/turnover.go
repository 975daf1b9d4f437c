package bundle

import (
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/node"
	"bulkhead/site"
)

// turnoverSays is what a turnover statement says, once it has passed.
type turnoverSays struct {
	node, serial, kind string
	turnover           uint32
	devices            claim.Digest // digest of the list
	root, wiped        claim.Digest // of the log that the nonces of its quote and its wipe hang on
	origin             claim.Origin
	key                site.PublicKey
	ownKey             bool      // the key is the policy's, not the statement's
	chained            bool      // and a maker says that it is in a TPM
	began, ended       time.Time // first wipe, TPM quote
	gpus               int       // that were wiped
}

// usualTurnover is the size of a turnover in bytes up to which nothing that it says
// takes more than a few MB to read. That of a node with 8 GPUs has a tenth of it.
const usualTurnover = 64 << 10

var turnoverShape = claim.ShapeOf[node.Turnover]()

// readTurnover opens a turnover statement and runs the check that the owner's
// own control plane runs before a node may go on. What it is compared with is
// the policy's where the policy says something, else the statement's own word;
// the entries that name it are compared later.
// Cost: about 250 µs, most of it two signatures and JSON.
func (v *verifier) readTurnover(o *opened, b *unnamedBody) (*turnoverSays, error) {
	s, err := v.signed(o, b, claim.PurposeStatement, node.TurnoverPredicate)
	if err != nil {
		return nil, err
	}
	if len(s.Predicate) > usualTurnover {
		if _, err := v.budget.weigh(turnoverShape, s.Predicate, "a turnover statement"); err != nil {
			return nil, err
		}
	}
	t, err := node.DecodeTurnover(s.Predicate)
	if err != nil {
		return nil, err
	}
	says := &turnoverSays{node: t.Node, serial: t.Serial, kind: t.Kind, turnover: t.Turnover, devices: t.Devices, root: t.Root, wiped: t.WipeRoot, origin: t.Origin, key: t.Key}
	expected := node.Expected{
		Node: t.Node, Serial: t.Serial, Turnover: t.Turnover, Root: t.Root, WipeRoot: t.WipeRoot, Devices: t.Devices, Key: t.Key, Golden: t.Golden, Origin: t.Origin,
	}
	if key, ok := v.keys[t.Node]; ok {
		expected.Key, says.ownKey = key.key, true
		if at := quoted(t); key.chained && !at.Before(key.from) && !at.After(key.until) {
			says.chained = true
		}
	}
	if golden, ok := v.golden[t.Kind]; ok {
		expected.Golden = golden
	} else if len(v.golden) > 0 {
		return nil, fmt.Errorf("the policy has golden values, and none for kind %q", t.Kind)
	}
	if v.skip != CheckTurnover {
		if err := node.CheckTurnover(t, expected); err != nil {
			return nil, err
		}
		if err := wholeNode(t); err != nil {
			return nil, err
		}
	}
	says.gpus = countClass(t, site.ClassGPU)
	for i := range t.Receipts {
		if began := time.Unix(t.Receipts[i].Start, 0); i == 0 || began.Before(says.began) {
			says.began = began
		}
	}
	if t.Quote != nil {
		says.ended = time.Unix(t.Quote.At, 0)
	}
	return says, nil
}

// quoted is when a statement's TPM quote was made.
func quoted(t *node.Turnover) time.Time {
	if t.Quote == nil {
		return time.Time{}
	}
	return time.Unix(t.Quote.At, 0)
}

// wholeNode refuses a statement about less than a node: the list of devices is
// the owner's, but a node without a drive, or without a NIC for each GPU, is none.
// How many GPUs a node of the lease has is compared where the lease is known.
func wholeNode(t *node.Turnover) error {
	nics := countClass(t, site.ClassGPU) + 1
	for _, class := range [...]struct {
		name  string
		least int
	}{{site.ClassGPU, 1}, {site.ClassNIC, nics}, {site.ClassNVMe, 1}, {site.ClassDRAM, 1}, {site.ClassTPM, 1}, {site.ClassUEFI, 1}, {site.ClassBMC, 1}} {
		if count := countClass(t, class.name); count < class.least {
			return fmt.Errorf("%d receipts of class %s, a node has at least %d", count, class.name, class.least)
		}
	}
	return nil
}

func countClass(t *node.Turnover, class string) int {
	n := 0
	for i := range t.Receipts {
		if t.Receipts[i].Class == class {
			n++
		}
	}
	return n
}

// The two things that a turnover statement is asked to show.
const (
	cleanAtDelivery = "clean when it was handed over: a wipe receipt for every device, read-back clean, TPM quote, burn-in"
	wipedAfterwards = "wiped after it was taken back: a wipe receipt for every device, read-back clean, TPM quote, burn-in"
)

// statementShown judges the statement that an entry names for a node: at its
// delivery (serial is the entry's), or when it is clean again.
func (v *verifier) statementShown(n *nodeLog, turnover uint32, serial string, o *opened, l *leaseLog) {
	if !o.there {
		return
	}
	at, now := v.at, v.time
	delivery, reclaimed, severed := serial != "", n.reclaimed, n.severedAt
	v.later(func() {
		if o.err != nil {
			v.fail(at, v.unread(o, CheckTurnover), n.id, "turnover statement: %v", o.err)
			return
		}
		says, ok := o.says.(*turnoverSays)
		if !ok {
			return // named as something else: that was found before
		}
		if err := n.agrees(says, turnover, serial); err != nil {
			v.fail(at, CheckStatement, n.id, "%v", err)
		}
		v.ownMachine(at, n, says)
		sentence := cleanAtDelivery
		switch {
		case says.ended.After(now):
			v.fail(at, CheckStatement, n.id, "its TPM quote is of %s, after the entry", stamp(says.ended))
		case delivery && says.kind != l.Kind:
			v.fail(at, CheckStatement, n.id, "the turnover statement is about a node of kind %q, the lease is for %q", says.kind, l.Kind)
		case l != nil && says.gpus < l.gpus && v.skip != CheckTurnover:
			v.fail(at, CheckTurnover, n.id, "turnover statement: %d receipts of class %s, a node of the lease has %d", says.gpus, site.ClassGPU, l.gpus)
		case !delivery && l == nil:
			return // it was never handed over: the statement is the one before
		case !delivery:
			sentence = wipedAfterwards
		}
		if why := n.cleanAge(says.began, reclaimed, severed); why != "" {
			v.fail(at, CheckAge, n.id, "%s", why)
		}
		if delivery {
			v.longAgo(n, says.began, now)
		}
		c := claim.Claim{Subject: n.id, Sentence: sentence, Origin: says.origin, Evidence: []claim.Digest{o.digest}}
		c.Grade, c.Note = says.attested()
		if !says.ownKey {
			v.tally.statementKeys++
		}
		if !says.chained && says.origin == claim.Hardware {
			v.tally.unchained++
		}
		v.claim(at, c, v.policy.Minimum.Turnover)
	})
}

// ownMachine refuses one machine under the names of two nodes: its chassis, its
// attestation key or its devices.
func (v *verifier) ownMachine(at logEntry, n *nodeLog, says *turnoverSays) {
	for _, part := range [...]struct {
		what string
		id   claim.Digest
	}{{"chassis", claim.DigestOf([]byte("chassis " + says.serial))}, {"attestation key", claim.DigestOf(says.key[:])}, {"list of devices", says.devices}} {
		if other, known := v.machines[part.id]; known && other != n {
			v.fail(at, CheckStatement, n.id, "its %s is that of %s as well: one machine, two nodes", part.what, other.id)
			return
		}
		v.machines[part.id] = n
	}
}

// agrees compares a statement with the entry that names it and with the
// statements about the same node before it.
func (n *nodeLog) agrees(says *turnoverSays, turnover uint32, serial string) error {
	switch {
	case says.node != n.id:
		return fmt.Errorf("the turnover statement is about node %s", says.node)
	case says.turnover != turnover:
		return fmt.Errorf("the turnover statement is about turnover %d, expected %d", says.turnover, turnover)
	case serial != "" && says.serial != serial:
		return fmt.Errorf("the turnover statement is about chassis %s, the entry says %s", says.serial, serial)
	case n.serial != "" && says.serial != n.serial:
		return fmt.Errorf("it is chassis %s here and was %s before", says.serial, n.serial)
	case !n.root.IsZero() && says.turnover != n.rootOf && (says.root == n.root || says.wiped == n.wiped):
		return fmt.Errorf("the nonce of its TPM quote, or of its wipe, hangs on the same state of the log as that of turnover %d", n.rootOf)
	case !n.key.IsZero() && says.key != n.key:
		return errors.New("its TPM quote is signed by another attestation key than the one before")
	}
	n.serial, n.key, n.root, n.wiped, n.rootOf = says.serial, says.key, says.root, says.wiped, says.turnover
	return nil
}
