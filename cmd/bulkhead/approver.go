package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"

	"bulkhead/api"
	"bulkhead/book"
	"bulkhead/claim"
)

type approverCommand struct {
	Register approverRegister `cmd:"" help:"Register a key of an approver."`
	Revoke   approverRevoke   `cmd:"" help:"End a key."`
	List     approverList     `cmd:"" help:"List the approvers' keys."`
}

// approvalValid is for how long an approval that is made here may be used.
const approvalValid = 10 * time.Minute

// approveFlag is the flag of every verb that needs a second person.
type approveFlag struct {
	ApproverKey string `placeholder:"FILE" help:"Your own key as an approver: a private key file of OpenSSH, or a .pub file whose private half is in the SSH agent. Needed once an approver's key is registered (bulkhead approver)."`
}

// approve signs an act and has the next call carry it.
func (f approveFlag) approve(ctx context.Context, c *client, act, subject, reason string) error {
	if f.ApproverKey == "" {
		return nil
	}
	known, err := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ListApprovers, &v1.ListApproversRequest{})
	if err != nil {
		return err
	}
	a, err := approvalOf(known, act, subject, reason)
	if err != nil {
		return err
	}
	signature, err := approveWith(f.ApproverKey, a)
	if err != nil {
		return err
	}
	c.carry = func(h http.Header) {
		h.Set(api.ApprovalHeader, base64.StdEncoding.EncodeToString(a.Encode()))
		h.Set(api.ApprovalSignatureHeader, base64.StdEncoding.EncodeToString(signature))
	}
	return nil
}

// approvalOf makes the act that an approver signs, at the site as it is now.
func approvalOf(known *v1.Approvers, act, subject, reason string) (book.Approval, error) {
	now, err := time.Parse(time.RFC3339, known.Now)
	if err != nil {
		return book.Approval{}, fmt.Errorf("the server's time: %w", err)
	}
	return book.Approval{
		Format: book.ApprovalFormat, Act: act, Site: known.Site, Subject: subject, Reason: reason, After: known.After, Expires: now.Add(approvalValid).UTC(),
	}, nil
}

// approveWith signs an approval with a key file or an agent's key, after showing it.
func approveWith(path string, a book.Approval) ([]byte, error) {
	signer, leave, err := openSigner(path)
	if err != nil {
		return nil, err
	}
	defer leave()
	fmt.Fprintf(remarks, "approving with the key in %s\n%s", path, a.Text())
	signed, err := a.Sign(signer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return []byte(signed.Signature), nil
}

type approverRegister struct {
	Name string   `arg:"" help:"Whose key it is."`
	Key  string   `required:"" placeholder:"FILE" help:"The key: its private key file, or a .pub file whose private half is in the SSH agent. It signs that its holder has it."`
	With []string `placeholder:"FILE" help:"A key of an approver that counts; two of them, of different people, where two are registered. Not with the first key."`
	requestFlag
	client
	format
}

// Help is the example.
func (approverRegister) Help() string {
	return `From the first registered key on, what needs a second person (plan approve, site
manage, site take, site adopt, lease defrag accept, clock confirm) needs the signature
of an approver's key: a token alone, which the owner of the server's disk can make, is
no second person. Register the first ones before anything is sold. It takes an
approver's token too. The signature is in the ledger, and is used once.

Examples:

    bulkhead approver register "first approver" --key a.pub --token-file data/approver.token
    bulkhead approver register "second approver" --key b.pub --with a.pub --token-file data/approver.token`
}

// Run registers.
func (c *approverRegister) Run(ctx context.Context) error {
	public, err := publicHalf(c.Key)
	if err != nil {
		return err
	}
	r, err := approverRequest(ctx, &c.client, book.ActRegisterApprover, public, c.Name, c.With)
	if err != nil {
		return err
	}
	a, err := book.DecodeApproval(r.Approval)
	if err != nil {
		return err
	}
	if r.Possession, err = approveWith(c.Key, a); err != nil {
		return err
	}
	r.CommandId = c.id()
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.RegisterApprover, r)
	return c.done("approver's key "+public.Fingerprint(), d, err)
}

// approverRequest is what registers or revokes a key, with the signatures of a quorum.
func approverRequest(ctx context.Context, c *client, act string, public claim.SSHKey, name string, with []string) (*v1.ApproverKeyRequest, error) {
	if len(with) > 2 {
		return nil, usagef("--with: %d keys were given, expected at most 2", len(with))
	}
	known, err := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ListApprovers, &v1.ListApproversRequest{})
	if err != nil {
		return nil, err
	}
	a, err := approvalOf(known, act, public.String(), name)
	if err != nil {
		return nil, err
	}
	r := &v1.ApproverKeyRequest{PublicKey: public.String(), Name: name, Approval: a.Encode()}
	for i, path := range with {
		signature, err := approveWith(path, a)
		if err != nil {
			return nil, err
		}
		*[]*[]byte{&r.Warrant, &r.SecondWarrant}[i] = signature
	}
	return r, nil
}

type approverRevoke struct {
	Fingerprint string   `arg:"" help:"Fingerprint of the key, as approver list shows it."`
	With        []string `required:"" placeholder:"FILE" help:"A key of an approver that counts; two of them, where two count."`
	requestFlag
	client
	format
}

// Help is the example.
func (approverRevoke) Help() string {
	return `The last key that counts can't be revoked.

Example:

    bulkhead approver revoke SHA256:FINGERPRINT --with a.pub --with b.pub --token-file data/approver.token`
}

// Run revokes.
func (c *approverRevoke) Run(ctx context.Context) error {
	known, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListApprovers, &v1.ListApproversRequest{})
	if err != nil {
		return err
	}
	for _, k := range known.Keys {
		if k.Fingerprint != c.Fingerprint {
			continue
		}
		public, err := claim.ParseSSHKey(k.PublicKey)
		if err != nil {
			return err
		}
		r, err := approverRequest(ctx, &c.client, book.ActRevokeApprover, public, "", c.With)
		if err != nil {
			return err
		}
		r.CommandId = c.id()
		d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.RevokeApprover, r)
		return c.done("approver's key "+c.Fingerprint+" revoked", d, err)
	}
	return fmt.Errorf("no approver has key %s: see bulkhead approver list", c.Fingerprint)
}

type approverList struct {
	client
	format
}

// Help is the example.
func (approverList) Help() string {
	return `Example:

    bulkhead approver list`
}

// Run lists.
func (c *approverList) Run(ctx context.Context) error {
	known, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListApprovers, &v1.ListApproversRequest{})
	if err != nil {
		return err
	}
	return c.print(known, func(w io.Writer) {
		row(w, "FINGERPRINT", "NAME", "TYPE", "REGISTERED", "REVOKED")
		for _, k := range known.Keys {
			kind, _, _ := strings.Cut(k.PublicKey, " ")
			row(w, k.Fingerprint, k.Name, kind, k.Registered, orDash(k.Revoked))
		}
		if len(known.Keys) == 0 {
			row(w, "none: a token alone is a second person, and the owner of the server's disk can make one")
		}
	})
}
