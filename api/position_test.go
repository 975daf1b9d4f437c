package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// entryOf is the position that an answer names.
func entryOf(t *testing.T, h http.Header) uint64 {
	t.Helper()
	at, err := strconv.ParseUint(h.Get(EntryHeader), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", EntryHeader, err)
	}
	return at
}

// asking is a request that wants a position.
func asking[T any](message *T, entry string) *connect.Request[T] {
	r := connect.NewRequest(message)
	r.Header().Set(MinEntryHeader, entry)
	return r
}

// TestReadingWhatWasWritten changes something and reads from the position of the
// answer on, in units of the caller's: the owner's are the whole ledger's, a
// tenant's its own scope's.
func TestReadingWhatWasWritten(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	operator, tenant := w.client("operator"), w.client("administrator flagship")
	paused, err := operator.Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "p", Reason: "x"}))
	if err != nil || entryOf(t, paused.Header()) < paused.Msg.Entry {
		t.Fatalf("entry %d, header %v, %v", paused.Msg.Entry, paused.Header(), err)
	}
	read, err := operator.ShowSite(ctx, asking(&bulkheadv1.ShowSiteRequest{}, paused.Header().Get(EntryHeader)))
	if err != nil || entryOf(t, read.Header()) != w.seq() || read.Msg.Generation < paused.Msg.Entry {
		t.Errorf("generation %d, %v, %v", read.Msg.GetGeneration(), read, err)
	}
	var own, others uint64
	w.plane.View(func(b *book.State) { own, others = b.Scopes["tenant/flagship"], b.Scopes["tenant/tidewater"] })
	list, err := tenant.ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{}))
	if err != nil || entryOf(t, list.Header()) != own {
		t.Errorf("a tenant is told %v, expected its own %d (the ledger's is %d, a rival's %d); %v", list.Header()[EntryHeader], own, w.seq(), others, err)
	}
	act := &bulkheadv1.ActRequest{CommandId: "n", Contract: "flagship", Act: "notice"}
	shown, err := tenant.PreviewAct(ctx, connect.NewRequest(act))
	if err != nil {
		t.Fatal(err)
	}
	act.Confirmed = shown.Msg.Digest
	noticed, err := tenant.PerformAct(ctx, connect.NewRequest(act))
	if err == nil && entryOf(t, noticed.Header()) <= own {
		t.Errorf("the answer to a change is of entry %s, before it was %d", noticed.Header().Get(EntryHeader), own)
	}
	stream, err := operator.TailLedger(ctx, asking(&bulkheadv1.TailLedgerRequest{}, "1"))
	if err != nil || !stream.Receive() || entryOf(t, stream.ResponseHeader()) == 0 {
		t.Errorf("a stream: %v, %v", stream.ResponseHeader(), err)
	}
	for _, text := range []string{"-1", "x", "1e3", "18446744073709551616"} {
		if _, err := operator.ShowSite(ctx, asking(&bulkheadv1.ShowSiteRequest{}, text)); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), MinEntryHeader) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAReadWaits asks for what is not there yet. It is answered when it is there, or
// says both positions when its time is over.
func TestAReadWaits(t *testing.T) {
	w := bareWorld(t)
	ctx := context.Background()
	operator := w.client("operator")
	at := w.seq()
	answered := make(chan error, 1)
	go func() {
		r, err := operator.ListTenants(ctx, asking(&bulkheadv1.Page{}, strconv.FormatUint(at+1, 10)))
		if err == nil && len(r.Msg.Tenants) != 1 {
			t.Errorf("%v", r.Msg)
		}
		answered <- err
	}()
	done(t)(operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{CommandId: "r", Tenant: "acme", Name: "Acme"})))
	if err := <-answered; err != nil {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := operator.ListTenants(short, asking(&bulkheadv1.Page{}, "4000")); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("its own deadline: %v", err)
	}
	for who, at := range map[string]uint64{"operator": w.seq(), "viewer flagship": 0} {
		p := &positions{plane: w.plane, patience: time.Millisecond}
		_, err := p.wait(w.as(t, who), http.Header{MinEntryHeader: {"4000"}})
		if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "of entry "+strconv.FormatUint(at, 10)+",") || !strings.Contains(err.Error(), "4000") {
			t.Errorf("%s, without a deadline: %v", who, err)
		}
	}
}

// TestReadsByID: a method that reads claims no position from after it has read.
func TestReadsByID(t *testing.T) {
	all := schema.Methods()
	for i := range all.Len() {
		m := all.Get(i)
		reads := false
		for _, verb := range []string{"Show", "Diff", "Get", "List", "WhatIf", "Plan", "Explain", "Tail", "Write"} {
			reads = reads || strings.HasPrefix(string(m.Name()), verb)
		}
		if has := m.Input().Fields().ByName("command_id") != nil; has && reads != readsByID[string(m.Name())] {
			t.Errorf("%s: reads by its name: %v, listed: %v", m.Name(), reads, readsByID[string(m.Name())])
		}
	}
}

// TestWhetherACommandWasCarriedOut asks by its id, as the token that it came with
// and as others.
func TestWhetherACommandWasCarriedOut(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	operator := w.client("operator")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := operator.Pause(gone, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "never", Reason: "x"})); err == nil {
		t.Error("no error")
	}
	paused, err := operator.Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "pause", Reason: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := w.tokens.List()
	if err != nil {
		t.Fatal(err)
	}
	id := map[string]string{}
	for _, token := range tokens {
		id[token.Subject] = token.ID
	}
	for _, c := range []struct {
		who, command, token string
		carried             bool
		code                connect.Code
	}{
		{"operator", "pause", "", true, 0},
		{"operator", "pause", id["operator"], true, 0},
		{"operator", "never", "", false, 0},
		{"operator", "s-flagship", "", false, 0},
		{"operator", "s-flagship", id["administrator flagship"], true, 0},
		{"auditor", "pause", "", false, 0},
		{"auditor", "pause", id["operator"], true, 0},
		{"administrator flagship", "s-flagship", "", true, 0},
		{"administrator tidewater", "s-flagship", "", false, 0},
		{"administrator tidewater", "s-flagship", id["administrator flagship"], false, connect.CodeNotFound},
		{"administrator tidewater", "s-flagship", "nobody", false, connect.CodeNotFound},
		{"operator", "", "", false, connect.CodeInvalidArgument},
	} {
		r, err := w.client(c.who).ShowCommand(ctx, connect.NewRequest(&bulkheadv1.CommandRef{CommandId: c.command, Token: c.token}))
		switch {
		case c.code != 0:
			if connect.CodeOf(err) != c.code {
				t.Errorf("%+v: %v", c, err)
			}
		case err != nil || r.Msg.CarriedOut != c.carried || c.carried != (r.Msg.Entry > 0) || c.carried != (r.Msg.Time != ""):
			t.Errorf("%+v: %v, %v", c, r, err)
		case c.command == "pause" && c.carried && r.Msg.Entry != paused.Msg.Entry:
			t.Errorf("entry %d, it was answered with %d", r.Msg.Entry, paused.Msg.Entry)
		}
	}
}
