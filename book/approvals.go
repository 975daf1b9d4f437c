package book

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/ledger"
)

// ApprovalFormat names the bytes that an approver signs.
const ApprovalFormat = "bulkhead-approval/1"

// The entry kinds of approvers, in the site's scope.
const (
	KindApproved           = "approval.given/1" // before the entries of what was approved
	KindApproverRegistered = "approver.registered/1"
	KindApproverRevoked    = "approver.revoked/1"
)

// What needs a second person, besides what registers and revokes approvers. It is one
// table: secondPerson.
const (
	ActReleaseBrake     = "release-brake"
	ActManageSite       = "manage-site"
	ActTakeOver         = "take-over"
	ActOfferSitting     = "offer-sitting"
	ActAcceptDefrag     = "accept-defrag"
	ActConfirmClock     = "confirm-clock"
	ActRegisterApprover = "register-approver"
	ActRevokeApprover   = "revoke-approver"
)

// Approval is what an approver signs, in canonical JSON: an act at a site, after a
// position of its ledger, so that it is used once.
type Approval struct {
	Format  string    `json:"format"`
	Act     string    `json:"act"`
	Site    string    `json:"site"` // "": none has been imported
	Subject string    `json:"subject,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	After   uint64    `json:"after"`   // the ledger's last entry when it was signed
	Expires time.Time `json:"expires"` // by the site's time; whole seconds
}

// SignedApproval is an approval with a signature, as entries hold it.
type SignedApproval struct {
	Approval  Approval `json:"approval"`
	Key       string   `json:"key"` // fingerprint
	Signature string   `json:"signature"`
}

// ApprovalValid is for how long an approval may be used at most.
const ApprovalValid = time.Hour

// Encode is the canonical JSON, which is what is signed.
func (a Approval) Encode() []byte {
	a.Expires = a.Expires.UTC()
	return claim.Canonical(a)
}

// DecodeApproval reads the canonical JSON of an approval, and nothing else.
func DecodeApproval(data []byte) (Approval, error) {
	var a Approval
	if err := claim.Exact(data, 8<<10, &a); err != nil {
		return a, fmt.Errorf("approval: %w", err)
	}
	if !bytes.Equal(a.Encode(), data) || a.Format != ApprovalFormat {
		return a, fmt.Errorf("approval: expected the canonical JSON of %s", ApprovalFormat)
	}
	return a, nil
}

// Text is the approval for a person, made from the fields that are signed.
func (a Approval) Text() string {
	return fmt.Sprintf("act      %q\nsubject  %q\nreason   %q\nsite     %q, after ledger entry %d, to be used before %s\n",
		a.Act, a.Subject, a.Reason, a.Site, a.After, a.Expires.UTC().Format(time.RFC3339))
}

// Sign signs an approval.
func (a Approval) Sign(signer claim.SSHSigner) (*SignedApproval, error) {
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	signature, err := claim.SignSSH(signer, claim.PurposeApproverAct, a.Encode())
	if err != nil {
		return nil, err
	}
	return &SignedApproval{Approval: a, Key: key.Fingerprint(), Signature: signature}, nil
}

// ApproverKey is a key of an approver.
type ApproverKey struct {
	Key     claim.SSHKey
	Name    string
	Since   time.Time
	Revoked time.Time // zero: it counts
	Last    uint64    // the entry that it was registered by, or has signed last
}

// ApproverRegistered is the body of KindApproverRegistered. Possession is signed by the
// key itself, Warrants by a quorum of those that count.
type ApproverRegistered struct {
	Key        string           `json:"key"`
	Name       string           `json:"name"`
	By         string           `json:"by"`
	Possession SignedApproval   `json:"possession"`
	Warrants   []SignedApproval `json:"warrants,omitempty"`
}

// ApproverRevoked is the body of KindApproverRevoked.
type ApproverRevoked struct {
	Key      string           `json:"key"`
	By       string           `json:"by"`
	Warrants []SignedApproval `json:"warrants"`
}

// Approved is the body of KindApproved.
type Approved struct {
	By     string         `json:"by"`
	Signed SignedApproval `json:"signed"`
}

// secondPerson is the table of what needs a second person: what an approver signs for
// each, and who gave the command.
func (s *State) secondPerson(c Command) (want Approval, by string, needs bool) {
	act := func(act, by, subject, reason string) (Approval, string, bool) {
		return Approval{Act: act, Subject: subject, Reason: reason}, by, true
	}
	switch c := c.(type) {
	case IfUnmoved:
		return s.secondPerson(c.Command)
	case ReleaseBrake:
		return act(ActReleaseBrake, c.By.Subject, "", c.Reason)
	case Manage:
		return act(ActManageSite, c.By.Subject, "", c.Reason)
	case TakeOver:
		label := fmt.Sprintf("%s/%d", c.Fabric, c.Label)
		if s.Site != nil {
			if _, ok := s.Site.FabricByID(c.Fabric); ok {
				label = s.foundLabel(c.Fabric, c.Label).String()
			}
		}
		return act(ActTakeOver, c.By.Subject, label, c.Reason)
	case OfferSitting:
		var labels []string
		for _, l := range c.Labels {
			labels = append(labels, l.String())
		}
		return act(ActOfferSitting, c.By.Subject, SittingSubject(c.Quote, c.Contract.ID, c.Contract.Version, labels), "")
	case AcceptDefrag:
		return act(ActAcceptDefrag, c.By, DefragSubject(string(c.Lease), c.Proposal), "")
	case ConfirmClock:
		return act(ActConfirmClock, c.By.Subject, c.Said.UTC().Format(time.RFC3339), c.Reason)
	}
	return Approval{}, "", false
}

// SittingSubject is what an approver signs of an offer to who is on a site already.
func SittingSubject(quote, contractID string, version int, labels []string) string {
	labels = slices.Sorted(slices.Values(labels))
	return fmt.Sprintf("quote %s of contract %s, version %d, under %s", quote, contractID, version, strings.Join(labels, " "))
}

// DefragSubject is what an approver signs of moves of a lease.
func DefragSubject(lease string, proposal uint64) string {
	return fmt.Sprintf("proposal %d of lease %s", proposal, lease)
}

// approverKeys is how many keys of approvers count.
func (s *State) approverKeys() (count int) {
	for _, k := range s.Approvers {
		if k.Revoked.IsZero() {
			count++
		}
	}
	return count
}

// checkSecondPerson refuses what needs a second person where approvers have keys and
// none has signed.
func (s *State) checkSecondPerson(c Command) error {
	want, _, needs := s.secondPerson(c)
	if needs && s.approverKeys() > 0 {
		return refuse("approval", "%s needs the signature of a registered approver's key, and a token alone is none (--approver-key FILE)", want.Act)
	}
	return nil
}

// checkApproval holds a signature to the act that is wanted.
func (s *State) checkApproval(a *SignedApproval, want Approval, key *ApproverKey, now time.Time) error {
	want.Format, want.Site, want.After, want.Expires = ApprovalFormat, s.siteName(), a.Approval.After, a.Approval.Expires
	switch {
	case !bytes.Equal(want.Encode(), a.Approval.Encode()):
		return fmt.Errorf("it approves another act: signed is %.300s, expected %.300s", a.Approval.Encode(), want.Encode())
	case !now.Before(a.Approval.Expires) || a.Approval.Expires.Sub(now) > ApprovalValid:
		return fmt.Errorf("it is to be used before %s, and it is %s: expected at most %s from now", a.Approval.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ApprovalValid)
	case a.Approval.After > s.Seq || a.Approval.After < key.Last:
		return fmt.Errorf("it was signed after entry %d, and this key has signed entry %d since, or that is still to come: an approval is used once", a.Approval.After, key.Last)
	case a.Key != key.Key.Fingerprint():
		return fmt.Errorf("it names key %.80q as its signer, expected %s", a.Key, key.Key.Fingerprint())
	}
	return key.Key.Verify(claim.PurposeApproverAct, a.Approval.Encode(), a.Signature)
}

// approver is the key of an approver that counts.
func (s *State) approver(fingerprint string) (*ApproverKey, error) {
	k, ok := s.Approvers[fingerprint]
	if !ok || !k.Revoked.IsZero() {
		return nil, fmt.Errorf("key %.80q is no approver's, or it was revoked", fingerprint)
	}
	return k, nil
}

func (s *State) siteName() string {
	if s.Site == nil {
		return ""
	}
	return s.Site.Name
}

// WithApproval is a command with what an approver has signed for it.
type WithApproval struct {
	Command  Command
	Approval *SignedApproval
}

func (c WithApproval) decide(s *State, env Env) (*Decision, error) {
	want, by, needs := s.secondPerson(c.Command)
	if !needs {
		return nil, refuse("approval", "%T needs no approval: leave it out", c.Command)
	}
	key, err := s.approver(c.Approval.Key)
	if err == nil {
		err = s.checkApproval(c.Approval, want, key, env.Now)
	}
	if err != nil {
		return nil, refuse("approval", "%v", err)
	}
	given := &Decision{}
	given.add(SiteScope, KindApproved, Approved{By: by, Signed: *c.Approval})
	d, err := c.Command.decide(s, env)
	if err != nil {
		return nil, err
	}
	d.Drafts = append(given.Drafts, d.Drafts...)
	return d, errors.Join(given.failed)
}

// RegisterApprover takes in a key of an approver: the first by an approver's token
// alone, every other by a quorum of those that count, two where there are two.
type RegisterApprover struct{ ApproverRegistered }

func (c RegisterApprover) decide(s *State, env Env) (*Decision, error) {
	key, err := claim.ParseSSHKey(c.Key)
	if err == nil && key.String() != c.Key {
		err = errors.New("public key: expected its type and its base64, without a comment")
	}
	if err != nil {
		return nil, refuse("public_key", "%v", err)
	}
	if _, again := s.Approvers[key.Fingerprint()]; again {
		return nil, refuse("public_key", "key %s was registered before", key.Fingerprint())
	}
	if len(s.Approvers) >= contract.MaxTenantKeys {
		return nil, refuse("public_key", "%d keys were registered, which is all that are taken", len(s.Approvers))
	}
	if c.Name == "" {
		return nil, refuse("name", "expected the name of the person whose key it is")
	}
	want := Approval{Act: ActRegisterApprover, Subject: c.Key, Reason: c.Name}
	if err := s.checkApproval(&c.Possession, want, &ApproverKey{Key: key}, env.Now); err != nil {
		return nil, refuse("possession", "whoever registers a key shows that they hold it: %v", err)
	}
	if err := s.quorum(c.Warrants, want, env.Now); err != nil {
		return nil, err
	}
	d := &Decision{}
	d.add(SiteScope, KindApproverRegistered, c.ApproverRegistered)
	return d, nil
}

// RevokeApprover ends a key, by a quorum; the last one stays.
type RevokeApprover struct{ ApproverRevoked }

func (c RevokeApprover) decide(s *State, env Env) (*Decision, error) {
	key, err := claim.ParseSSHKey(c.Key)
	if err != nil {
		return nil, refuse("public_key", "%v", err)
	}
	if _, err := s.approver(key.Fingerprint()); err != nil {
		return nil, refuse("public_key", "%v", err)
	}
	if s.approverKeys() == 1 {
		return nil, refuse("public_key", "key %s is the last one: register another first", key.Fingerprint())
	}
	if err := s.quorum(c.Warrants, Approval{Act: ActRevokeApprover, Subject: c.Key}, env.Now); err != nil {
		return nil, err
	}
	d := &Decision{}
	d.add(SiteScope, KindApproverRevoked, c.ApproverRevoked)
	return d, nil
}

// quorum wants the signatures of two approvers' keys, or of the one that there is.
func (s *State) quorum(warrants []SignedApproval, want Approval, now time.Time) error {
	need := min(s.approverKeys(), 2)
	seen := map[string]bool{}
	for i := range warrants {
		key, err := s.approver(warrants[i].Key)
		if err == nil {
			err = s.checkApproval(&warrants[i], want, key, now)
		}
		if err != nil {
			return refuse("warrant", "%v", err)
		}
		seen[warrants[i].Key] = true
	}
	if len(seen) != need || len(warrants) != need {
		return refuse("warrant", "it is signed by %d of the approvers' keys that count, expected %d different ones", len(seen), need)
	}
	return nil
}

func (s *State) applyApproved(e *ledger.Entry, b Approved, _ Bodies) error {
	return s.signedBy(e, b.Signed)
}

// signedBy keeps that keys have signed an entry: what they signed before is used.
func (s *State) signedBy(e *ledger.Entry, signed ...SignedApproval) error {
	for i := range signed {
		k, ok := s.Approvers[signed[i].Key]
		if !ok {
			return fmt.Errorf("no approver has key %.80q", signed[i].Key)
		}
		next := *k
		next.Last = e.Seq
		s.Approvers[signed[i].Key] = &next
	}
	return nil
}

func (s *State) applyApproverRegistered(e *ledger.Entry, b ApproverRegistered, _ Bodies) error {
	key, err := claim.ParseSSHKey(b.Key)
	if err != nil {
		return err
	}
	s.Approvers[key.Fingerprint()] = &ApproverKey{Key: key, Name: b.Name, Since: e.Time, Last: e.Seq}
	return s.signedBy(e, b.Warrants...)
}

func (s *State) applyApproverRevoked(e *ledger.Entry, b ApproverRevoked, _ Bodies) error {
	key, err := claim.ParseSSHKey(b.Key)
	if err != nil {
		return err
	}
	k, ok := s.Approvers[key.Fingerprint()]
	if !ok {
		return fmt.Errorf("no approver has key %s", key.Fingerprint())
	}
	next := *k
	next.Revoked = e.Time
	s.Approvers[key.Fingerprint()] = &next
	return s.signedBy(e, b.Warrants...)
}
