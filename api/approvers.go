package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/run"
)

// The headers by which a request carries an approver's signature: base64 of the
// canonical JSON of the approval, and of the armoured SSHSIG over it.
const (
	ApprovalHeader          = "Bulkhead-Approval"
	ApprovalSignatureHeader = "Bulkhead-Approval-Signature"
)

// approved takes an approval from a request's header.
func approved(ctx context.Context, header http.Header) (context.Context, error) {
	text := header.Get(ApprovalHeader)
	if text == "" {
		return ctx, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ctx, badField("approval", err)
	}
	signature, err := base64.StdEncoding.DecodeString(header.Get(ApprovalSignatureHeader))
	if err != nil {
		return ctx, badField("approval", err)
	}
	a, err := approvalBy(data, "approval", signature)
	if err != nil {
		return ctx, err
	}
	return run.WithApproval(ctx, a), nil
}

// approvalBy reads an approval and a signature over it.
func approvalBy(data []byte, field string, signature []byte) (*book.SignedApproval, error) {
	a, err := book.DecodeApproval(data)
	if err != nil {
		return nil, badField(field, err)
	}
	key, text, err := claim.SSHSignatory(string(signature))
	if err != nil {
		return nil, badField(field, err)
	}
	return &book.SignedApproval{Approval: a, Key: key.Fingerprint(), Signature: text}, nil
}

// warrants reads the signatures of a quorum.
func warrants(m *v1.ApproverKeyRequest) (list []book.SignedApproval, err error) {
	for _, signature := range [][]byte{m.Warrant, m.SecondWarrant} {
		if len(signature) == 0 {
			continue
		}
		w, err := approvalBy(m.Approval, "warrant", signature)
		if err != nil {
			return nil, err
		}
		list = append(list, *w)
	}
	return list, nil
}

// RegisterApprover takes in a key of an approver.
func (s *service) RegisterApprover(ctx context.Context, r *connect.Request[v1.ApproverKeyRequest]) (*connect.Response[v1.Done], error) {
	possession, err := approvalBy(r.Msg.Approval, "possession", r.Msg.Possession)
	if err != nil {
		return nil, err
	}
	list, err := warrants(r.Msg)
	if err != nil {
		return nil, err
	}
	return s.submit(ctx, r.Msg, book.RegisterApprover{ApproverRegistered: book.ApproverRegistered{
		Key: r.Msg.PublicKey, Name: r.Msg.Name, By: caller(ctx).Subject, Possession: *possession, Warrants: list,
	}})
}

// RevokeApprover ends a key.
func (s *service) RevokeApprover(ctx context.Context, r *connect.Request[v1.ApproverKeyRequest]) (*connect.Response[v1.Done], error) {
	list, err := warrants(r.Msg)
	if err != nil {
		return nil, err
	}
	return s.submit(ctx, r.Msg, book.RevokeApprover{ApproverRevoked: book.ApproverRevoked{Key: r.Msg.PublicKey, By: caller(ctx).Subject, Warrants: list}})
}

// ListApprovers lists the approvers' keys, the oldest first, with what an approval
// names beside them.
func (s *service) ListApprovers(context.Context, *connect.Request[v1.ListApproversRequest]) (*connect.Response[v1.Approvers], error) {
	_, now := s.plane.Reading()
	out := &v1.Approvers{Now: stampOf(now)}
	s.plane.View(func(b *book.State) {
		out.After = b.Seq
		if b.Site != nil {
			out.Site = b.Site.Name
		}
		keys := make([]*book.ApproverKey, 0, len(b.Approvers))
		for _, k := range b.Approvers {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b *book.ApproverKey) int {
			return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key.Fingerprint(), b.Key.Fingerprint()))
		})
		for _, k := range keys {
			one := &v1.ApproverKey{PublicKey: k.Key.String(), Fingerprint: k.Key.Fingerprint(), Name: k.Name, Registered: k.Since.UTC().Format(time.RFC3339)}
			if !k.Revoked.IsZero() {
				one.Revoked = k.Revoked.UTC().Format(time.RFC3339)
			}
			out.Keys = append(out.Keys, one)
		}
	})
	return connect.NewResponse(out), nil
}
