package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/ssh"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/meter"
)

// ownSigner is a key of SSH's, by its seed.
func ownSigner(t *testing.T, seed byte) (ssh.Signer, claim.SSHKey) {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := claim.SSHKeyOf(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// withKey registers a tenant's first key over the API.
func (w *world) withKey(t *testing.T, tenant string) ssh.Signer {
	t.Helper()
	signer, key := ownSigner(t, 1)
	now := w.clock.Now()
	act := contract.KeyAssent(contract.ActRegisterKey, "tiny", tenant, key, now, now.Add(time.Minute))
	signed, err := act.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	done(t)(w.client("administrator "+tenant).RegisterTenantKey(context.Background(), connect.NewRequest(&bulkheadv1.TenantKeyRequest{
		CommandId: "first key", Tenant: tenant, PublicKey: key.String(), Assent: act.Encode(), Possession: []byte(signed.Signature),
	})))
	return signer
}

// looked is what goes with an act as its client looked at it and signed it.
func looked(t *testing.T, client bulkheadv1connect.ControlPlaneClient, signer ssh.Signer, r *bulkheadv1.ActRequest) *bulkheadv1.Assured {
	t.Helper()
	shown, err := client.PreviewAct(context.Background(), connect.NewRequest(r))
	if err != nil {
		t.Fatal(err)
	}
	p := shown.Msg
	now, err := time.Parse(time.RFC3339, p.Now)
	if err != nil {
		t.Fatal(err)
	}
	digest := claim.DigestOf([]byte(p.Json))
	signed, err := contract.ActAssent(contract.Act(r.Act), p.Site, p.Tenant, p.Contract, digest, now, now.Add(contract.AssentLasts)).Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return &bulkheadv1.Assured{Confirmed: digest.String(), Assent: signed.Assent.Encode(), Signature: []byte(signed.Signature)}
}

// onlyAssured gives an act of a tenant with a key without each part of what must go with
// it, and then with all of it. do gives the act under an id.
func onlyAssured(t *testing.T, good *bulkheadv1.Assured, do func(id string, with *bulkheadv1.Assured) error) {
	t.Helper()
	stranger, _ := ownSigner(t, 9)
	assent, err := contract.DecodeAssent(good.Assent)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := assent.Sign(stranger)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, field string
		with        *bulkheadv1.Assured
	}{
		{"nothing", "", nil}, // which field says so hangs on the act
		{"empty", "", &bulkheadv1.Assured{}},
		{"a digest alone", "assent", &bulkheadv1.Assured{Confirmed: good.Confirmed}},
		{"a signature without the digest", "confirmed", &bulkheadv1.Assured{Assent: good.Assent, Signature: good.Signature}},
		{"a digest that is none", "confirmed", &bulkheadv1.Assured{Confirmed: "sha256:0", Assent: good.Assent, Signature: good.Signature}},
		{"another digest", "confirmed", &bulkheadv1.Assured{Confirmed: claim.DigestOf(nil).String(), Assent: good.Assent, Signature: good.Signature}},
		{"no signature", "signature", &bulkheadv1.Assured{Confirmed: good.Confirmed, Assent: good.Assent}},
		{"a signature over nothing", "assent", &bulkheadv1.Assured{Confirmed: good.Confirmed, Signature: good.Signature}},
		{"an assent with a space", "assent", &bulkheadv1.Assured{Confirmed: good.Confirmed, Assent: append([]byte(" "), good.Assent...), Signature: good.Signature}},
		{"a stranger's signature", "assent", &bulkheadv1.Assured{Confirmed: good.Confirmed, Assent: good.Assent, Signature: []byte(forged.Signature)}},
	} {
		err := do(c.name, c.with)
		if field := fieldOf(t, err); field == "" || c.field != "" && field != c.field {
			t.Errorf("%s: %v, expected a refusal of %q", c.name, err, c.field)
		}
	}
	if err := do("good", good); err != nil {
		t.Errorf("with all of it: %v", err)
	}
	if err := do("good", nil); err != nil {
		t.Errorf("the same request again, which is done: %v", err)
	}
	if err := do("once more", good); err == nil {
		t.Error("the same signature did it again under another id")
	}
}

// TestAssured: a tenant with a key can leave out neither what it was shown nor its
// signature, of any of its acts that the API takes.
func TestAssured(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	tenant, operator := w.client("administrator tidewater"), w.client("operator")
	signer := w.withKey(t, "tidewater")

	nodes, err := tenant.ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{}))
	if err != nil || len(nodes.Msg.Nodes) == 0 {
		t.Fatal(nodes, err)
	}
	n := nodes.Msg.Nodes[0]
	done(t)(operator.CordonNode(ctx, connect.NewRequest(&bulkheadv1.CordonNodeRequest{CommandId: "c", Node: n.Id, Reason: "fan"})))
	done(t)(operator.ReplaceNode(ctx, connect.NewRequest(&bulkheadv1.ReplaceNodeRequest{CommandId: "r", Lease: n.Lease, Slot: n.Slot, Reason: "fan"})))
	answer := &bulkheadv1.AcknowledgeRequest{Lease: n.Lease, Slot: n.Slot}
	onlyAssured(t, looked(t, tenant, signer, &bulkheadv1.ActRequest{Act: "acknowledge", Acknowledge: answer}), func(id string, with *bulkheadv1.Assured) error {
		_, err := tenant.AcknowledgeReplacement(ctx, connect.NewRequest(&bulkheadv1.AcknowledgeRequest{CommandId: "answer " + id, Lease: n.Lease, Slot: n.Slot, Assured: with}))
		return err
	})

	// Until the first invoice, in one leap: nobody looks meanwhile, which is not what this is about.
	number := ""
	for day := 1; number == "" && day < 45; day++ {
		now := w.clock.Now().AddDate(0, 0, 1)
		if err := w.devices.Advance(ctx, now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		if err := w.plane.Tick(ctx); err != nil {
			t.Fatal(err)
		}
		listed, err := tenant.ListInvoices(ctx, connect.NewRequest(&bulkheadv1.Page{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range listed.Msg.Invoices {
			number = i.Number
		}
	}
	issued, err := tenant.GetInvoice(ctx, connect.NewRequest(&bulkheadv1.InvoiceRef{Number: number}))
	if err != nil {
		t.Fatal(err)
	}
	var invoice meter.Invoice
	if err := json.Unmarshal([]byte(issued.Msg.Json), &invoice); err != nil || len(invoice.Lines) == 0 {
		t.Fatal(err)
	}
	line := invoice.Lines[0].ID
	dispute := func(with *bulkheadv1.Assured, id string) *bulkheadv1.DisputeLineRequest {
		return &bulkheadv1.DisputeLineRequest{CommandId: id, Number: number, Line: line, Reason: "it was down", Assured: with}
	}
	onlyAssured(t, looked(t, tenant, signer, &bulkheadv1.ActRequest{Act: "dispute", Dispute: dispute(nil, "")}), func(id string, with *bulkheadv1.Assured) error {
		_, err := tenant.DisputeLine(ctx, connect.NewRequest(dispute(with, "dispute "+id)))
		return err
	})

	notice := &bulkheadv1.ActRequest{Contract: "tidewater", Act: "notice"}
	onlyAssured(t, looked(t, tenant, signer, notice), func(id string, with *bulkheadv1.Assured) error {
		_, err := tenant.PerformAct(ctx, connect.NewRequest(&bulkheadv1.ActRequest{CommandId: "notice " + id, Contract: "tidewater", Act: "notice", Assured: with}))
		return err
	})
	if _, err := tenant.PreviewAct(ctx, connect.NewRequest(&bulkheadv1.ActRequest{Contract: "tidewater", Act: "notice", Assured: &bulkheadv1.Assured{}})); err == nil || !strings.Contains(err.Error(), "a preview confirms nothing") {
		t.Errorf("a preview that confirms: %v", err)
	}
}
