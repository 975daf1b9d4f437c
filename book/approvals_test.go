package book_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bulkhead/book"
	"bulkhead/claim"
)

// approval is what an approver signs at a stage.
func (s *stage) approval(t *testing.T, signer ssh.Signer, act, subject, reason string) *book.SignedApproval {
	t.Helper()
	signed, err := book.Approval{
		Format: book.ApprovalFormat, Act: act, Site: s.Site.Name, Subject: subject, Reason: reason, After: s.Seq, Expires: s.now.Add(10 * time.Minute),
	}.Sign(signer)
	must(t, err)
	return signed
}

// approverKey registers a key, by the word of others.
func (s *stage) approverKey(t *testing.T, signer ssh.Signer, others ...ssh.Signer) book.RegisterApprover {
	t.Helper()
	key, err := claim.SSHKeyOf(signer.PublicKey())
	must(t, err)
	b := book.ApproverRegistered{Key: key.String(), Name: "somebody", By: "approver", Possession: *s.approval(t, signer, book.ActRegisterApprover, key.String(), "somebody")}
	for _, other := range others {
		b.Warrants = append(b.Warrants, *s.approval(t, other, book.ActRegisterApprover, key.String(), "somebody"))
	}
	return book.RegisterApprover{ApproverRegistered: b}
}

// TestASecondPersonIsAKey: with a registered key no token approves any more, and a
// signature counts for one act, once.
func TestASecondPersonIsAKey(t *testing.T) {
	first, _ := ownKey(t, 1)
	second, _ := ownKey(t, 2)
	stranger, _ := ownKey(t, 7)
	s := on(t, atBrake)
	approver := book.Actor{Subject: "approver on duty", Role: "approver"}
	release := book.ReleaseBrake{By: approver, Reason: "a drill"}
	if _, err := s.decide(t, release); err != nil {
		t.Fatalf("before there is a key: %v", err)
	}
	if _, err := s.decide(t, book.WithApproval{Command: release, Approval: s.approval(t, first, book.ActReleaseBrake, "", "a drill")}); err == nil {
		t.Error("a signature counts before its key is registered")
	}
	s.do(t, s.approverKey(t, first))
	for what, c := range map[string]book.Command{
		"a key without the word of the first": s.approverKey(t, second),
		"a key by its own word":               s.approverKey(t, second, second),
		"the same key again":                  s.approverKey(t, first, first),
	} {
		if _, err := s.decide(t, c); err == nil {
			t.Errorf("%s is registered", what)
		}
	}
	s.do(t, s.approverKey(t, second, first))
	third, _ := ownKey(t, 3)
	for what, c := range map[string]book.Command{
		"by one of two":        s.approverKey(t, third, first),
		"by one of two, twice": s.approverKey(t, third, first, first),
	} {
		if _, err := s.decide(t, c); err == nil {
			t.Errorf("a third key is registered %s", what)
		}
	}
	old := s.approval(t, first, book.ActReleaseBrake, "", "a drill")
	old.Approval.After++
	longer := s.approval(t, first, book.ActReleaseBrake, "", "a drill")
	longer.Approval.Expires = longer.Approval.Expires.Add(time.Minute)
	for what, c := range map[string]struct {
		command book.Command
		says    string
	}{
		"a token alone":           {release, "needs the signature of a registered approver's key"},
		"a stranger's key":        {book.WithApproval{Command: release, Approval: s.approval(t, stranger, book.ActReleaseBrake, "", "a drill")}, "is no approver's"},
		"another act":             {book.WithApproval{Command: release, Approval: s.approval(t, first, book.ActManageSite, "", "a drill")}, "approves another act"},
		"another reason":          {book.WithApproval{Command: release, Approval: s.approval(t, first, book.ActReleaseBrake, "", "no drill")}, "approves another act"},
		"another position":        {book.WithApproval{Command: release, Approval: old}, "still to come"},
		"another expiry":          {book.WithApproval{Command: release, Approval: longer}, "signature"},
		"what needs no signature": {book.WithApproval{Command: book.PauseLoop{By: "x", Reason: "y"}, Approval: s.approval(t, first, book.ActReleaseBrake, "", "a drill")}, "needs no approval"},
	} {
		if _, err := s.decide(t, c.command); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected %q", what, err, c.says)
		}
	}
	used := s.approval(t, first, book.ActReleaseBrake, "", "a drill")
	late := *used
	if got, want := kinds(s.do(t, book.WithApproval{Command: release, Approval: used})), "site approval.given/1, site brake.released/1"; got != want {
		t.Errorf("an approval is %s, expected %s", got, want)
	}
	s.do(t, book.EngageBrake{Cause: "again", By: book.Loop})
	if _, err := s.decide(t, book.WithApproval{Command: release, Approval: &late}); err == nil || !strings.Contains(err.Error(), "is used once") {
		t.Errorf("an approval is used twice: %v", err)
	}
	expired := s.approval(t, second, book.ActReleaseBrake, "", "a drill")
	s.later(11 * time.Minute)
	if _, err := s.decide(t, book.WithApproval{Command: release, Approval: expired}); err == nil || !strings.Contains(err.Error(), "to be used before") {
		t.Errorf("an approval that has expired: %v", err)
	}
}
