// Package bundletest makes the log of one tenant as an owner would sign it, and as an
// owner would forge it. A forged log has entries dropped, changed or invented, and signed
// again with the owner's real keys.
package bundletest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/transparency-dev/formats/log"

	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/meter"
)

// Owner holds the keys of a fictional owner. Equal seeds have equal keys.
type Owner struct {
	Site       string
	Statement  claim.Signer
	Invoice    claim.Signer
	Probe      claim.Signer    // the tenant's own
	Officer    claim.SSHSigner // the tenant's own, with which it signs contracts
	checkpoint note.Signer
	verifier   string
}

// NewOwner makes an owner from a seed.
func NewOwner(site, seed string) *Owner {
	key := func(purpose string) ed25519.PrivateKey {
		d := sha256.Sum256([]byte(seed + "/" + purpose))
		return ed25519.NewKeyFromSeed(d[:])
	}
	signer := func(purpose string) claim.Signer {
		k := key(purpose)
		return claim.Signer{KeyID: claim.KeyID(k.Public().(ed25519.PublicKey)), Key: k}
	}
	k := key("checkpoint")
	verifier, err := note.NewEd25519VerifierKey(site, k.Public().(ed25519.PublicKey))
	must(err)
	// A note's signer key is "PRIVATE+KEY+name+hash+base64(1, seed)".
	v, err := note.NewVerifier(verifier)
	must(err)
	secret := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", site, v.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{1}, k.Seed()...)))
	s, err := note.NewSigner(secret)
	must(err)
	return &Owner{Site: site, Statement: signer("statement"), Invoice: signer("invoice"), Probe: signer("probe"), Officer: sshSigner(key("officer")), checkpoint: s, verifier: verifier}
}

// Policy is a policy of a tenant that accepts simulated evidence by this owner.
func (o *Owner) Policy(tenant string) *bundle.Policy {
	public := func(s claim.Signer) string {
		return base64.StdEncoding.EncodeToString(s.Key.Public().(ed25519.PublicKey))
	}
	return &bundle.Policy{
		Policy: bundle.PolicyFormat, Site: o.Site, Tenant: tenant,
		Origins: []claim.Origin{claim.Hardware, claim.Simulated},
		Keys: []bundle.Key{
			{Purpose: claim.PurposeCheckpoint, Public: o.verifier},
			{Purpose: claim.PurposeStatement, ID: o.Statement.KeyID, Public: public(o.Statement)},
			{Purpose: claim.PurposeInvoice, ID: o.Invoice.KeyID, Public: public(o.Invoice)},
			{Purpose: claim.PurposeProbe, ID: o.Probe.KeyID, Public: public(o.Probe)},
		},
		Minimum: bundle.Minimum{Turnover: claim.SimulatedGrade, Sever: claim.SimulatedGrade, Isolation: claim.SimulatedGrade},
	}
}

// Log is the log of one tenant while it is written.
type Log struct {
	Owner   *Owner
	Tenant  string
	Now     time.Time
	Entries []ledger.Entry
	Bodies  map[claim.Digest][]byte
}

// NewLog begins a log at an instant.
func NewLog(o *Owner, tenant string, now time.Time) *Log {
	return &Log{Owner: o, Tenant: tenant, Now: now, Bodies: map[claim.Digest][]byte{}}
}

// Add appends an entry.
func (l *Log) Add(kind string, body any) {
	encoded, err := json.Marshal(body)
	must(err)
	l.Entries = append(l.Entries, ledger.Entry{Time: l.Now, Term: 1, Kind: kind, Body: encoded})
	l.Reseal()
}

// Body keeps a body.
func (l *Log) Body(data []byte) claim.Digest {
	d := claim.DigestOf(data)
	l.Bodies[d] = data
	return d
}

// Sign keeps a signed statement as a body.
func (l *Log) Sign(signer claim.Signer, subject string, about claim.Digest, kind string, predicate any) claim.Digest {
	s, err := claim.NewStatement(subject, about, kind, predicate)
	must(err)
	signed, err := claim.Sign(s, signer)
	must(err)
	return l.Body(signed)
}

// Reseal numbers the entries anew, so that the log has no gap that an owner
// could not hide.
func (l *Log) Reseal() {
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Scope, e.ScopeSeq = bundle.ScopeOf(l.Tenant), uint64(i+1)
		e.Salt = [16]byte{byte(i), byte(i >> 8)}
	}
}

// Drop takes entries out, as if they had never been.
func (l *Log) Drop(drop func(e *ledger.Entry) bool) int {
	before := len(l.Entries)
	l.Entries = slices.DeleteFunc(l.Entries, func(e ledger.Entry) bool { return drop(&e) })
	l.Reseal()
	return before - len(l.Entries)
}

// Change decodes each entry of a kind, lets it be changed, and writes it back.
func Change[B any](l *Log, kind string, change func(i int, body *B)) int {
	changed := 0
	for i := range l.Entries {
		if l.Entries[i].Kind != kind {
			continue
		}
		var body B
		// Lenient JSON: a test changes what it wrote itself.
		must(json.Unmarshal(l.Entries[i].Body, &body))
		change(changed, &body)
		encoded, err := json.Marshal(body)
		must(err)
		l.Entries[i].Body = encoded
		changed++
	}
	return changed
}

// Clone copies a log, to be forged.
func (l *Log) Clone() *Log {
	c := *l
	c.Entries = slices.Clone(l.Entries)
	c.Bodies = map[claim.Digest][]byte{}
	for d, b := range l.Bodies {
		c.Bodies[d] = b
	}
	return &c
}

// Checkpoint signs the first entries of the log.
func (l *Log) Checkpoint(size int) []byte {
	tree := ledger.NewTree()
	for i := range l.Entries[:size] {
		tree.Append(ledger.LeafHash(ledger.Encode(&l.Entries[i])))
	}
	root := tree.Root()
	return l.Owner.sign(log.Checkpoint{Origin: bundle.OriginOf(l.Owner.Site, l.Tenant), Size: tree.Size(), Hash: root[:]})
}

func (o *Owner) sign(c log.Checkpoint) []byte {
	signed, err := note.Sign(&note.Note{Text: string(c.Marshal())}, o.checkpoint)
	must(err)
	return signed
}

// Input is the whole log as a bundle's input.
func (l *Log) Input() bundle.Input {
	return bundle.Input{
		Site: l.Owner.Site, Tenant: l.Tenant, Signer: l.Owner.Statement,
		Checkpoint: l.Checkpoint(len(l.Entries)),
		Entries: func(yield func(ledger.Entry, error) bool) {
			for _, e := range l.Entries {
				if !yield(e, nil) {
					return
				}
			}
		},
		Body: func(d claim.Digest) ([]byte, error) {
			body, ok := l.Bodies[d]
			if !ok {
				return nil, fmt.Errorf("no body %s", d)
			}
			return body, nil
		},
	}
}

// SignInvoice signs an invoice and enters it.
func (l *Log) SignInvoice(i *meter.Invoice) {
	encoded := i.Encode()
	statement := l.Sign(l.Owner.Invoice, i.Number, claim.DigestOf(encoded), bundle.InvoiceType, json.RawMessage(encoded))
	l.Add(meter.KindInvoiced, meter.Invoiced{
		Number: i.Number, Contract: i.Contract, From: i.Period.From.Format(time.RFC3339), To: i.Period.To.Format(time.RFC3339),
		Currency: i.Currency, Total: i.Total, Statement: statement,
	})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
