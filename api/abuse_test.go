package api

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/run"
)

// oneNode is a contract TENANT-ID over one node that the tiny site has left.
func oneNode(t *testing.T, id, tenant string) []byte {
	t.Helper()
	contract := read(t, "tiny/tidewater.yaml")
	for _, r := range [][2]string{
		{"2026-05-01", "2026-07-01"}, {"2027-05-01", "2027-07-01"}, {"gpus: 32", "gpus: 8"},
		{"id: tidewater\n", "id: " + tenant + "-" + id + "\n"}, {"tenant: tidewater\n", "tenant: " + tenant + "\n"},
	} {
		if !bytes.Contains(contract, []byte(r[0])) {
			t.Fatalf("the example has no %q any more", r[0])
		}
		contract = bytes.ReplaceAll(contract, []byte(r[0]), []byte(r[1]))
	}
	return contract
}

func (w *world) quote(t *testing.T, who, id string, seconds int64, contract []byte) (*bulkheadv1.Quote, error) {
	t.Helper()
	r, err := w.client(who).OfferQuote(context.Background(), connect.NewRequest(&bulkheadv1.OfferQuoteRequest{Quote: id, File: "c.yaml", ValidSeconds: seconds, Contract: contract}))
	if err != nil {
		return nil, err
	}
	return r.Msg, nil
}

// TestQuoteIDsAreATenantsOwn offers contracts of two rivals under one id: neither
// learns of the other's, and the owner says whose is meant.
func TestQuoteIDsAreATenantsOwn(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	if _, err := w.quote(t, "administrator flagship", "q-secret", 0, oneNode(t, "secret", "flagship")); err != nil {
		t.Fatal(err)
	}
	rival := w.client("administrator tidewater")
	_, foreign := rival.SignLease(ctx, connect.NewRequest(&bulkheadv1.SignLeaseRequest{CommandId: "a", Quote: "q-secret"}))
	_, nothing := rival.SignLease(ctx, connect.NewRequest(&bulkheadv1.SignLeaseRequest{CommandId: "b", Quote: "q-nobody"}))
	if connect.CodeOf(foreign) != connect.CodeNotFound || strings.ReplaceAll(foreign.Error(), "secret", "nobody") != nothing.Error() {
		t.Errorf("signing tells a rival's quote (%v) from none (%v)", foreign, nothing)
	}
	if q, err := w.quote(t, "administrator tidewater", "q-secret", 0, oneNode(t, "other", "tidewater")); err != nil || q.Tenant != "tidewater" {
		t.Errorf("the id that a rival uses: %v, %v", q, err)
	}
	for who, want := range map[string][]string{"viewer flagship": {"flagship"}, "viewer tidewater": {"tidewater"}, "auditor": {"flagship", "tidewater"}} {
		list, err := w.client(who).ListQuotes(ctx, connect.NewRequest(&bulkheadv1.Page{}))
		var got []string
		for _, q := range list.Msg.GetQuotes() {
			got = append(got, q.Tenant)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is listed the quotes of %v, %v", who, got, err)
		}
	}
	finance := w.client("finance")
	if _, err := finance.SignLease(ctx, w.read(t, "finance", &bulkheadv1.SignLeaseRequest{CommandId: "c", Quote: "q-secret"})); fieldOf(t, err) != "tenant" {
		t.Errorf("whose is meant: %v", err)
	}
	sign := w.read(t, "finance", &bulkheadv1.SignLeaseRequest{CommandId: "d", Quote: "q-secret", Tenant: "flagship"})
	done(t)(finance.SignLease(ctx, sign))
	if again, err := finance.SignLease(ctx, sign); err != nil || !again.Msg.Repeated {
		t.Errorf("the same signature again: %v, %v", again, err)
	}
	if q, err := rival.ShowQuote(ctx, connect.NewRequest(&bulkheadv1.QuoteRef{Quote: "q-secret"})); err != nil || q.Msg.Contract != "tidewater-other" {
		t.Errorf("the rival's own: %v, %v", q, err)
	}
}

// TestATextCannotStopTheWriter sends what no ledger entry can hold. Each is
// refused by its field, and afterwards commands still go through.
func TestATextCannotStopTheWriter(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	long, huge := strings.Repeat("x", 300), strings.Repeat("x", 60<<10)
	tenant, operator := w.client("administrator tidewater"), w.client("operator")
	for field, call := range map[string]func() error{
		"command_id": func() error {
			_, err := tenant.PerformAct(ctx, connect.NewRequest(&bulkheadv1.ActRequest{CommandId: long, Contract: "tidewater", Act: "notice"}))
			return err
		},
		"quote": func() error {
			_, err := w.quote(t, "administrator tidewater", long, 0, oneNode(t, "long", "tidewater"))
			return err
		},
		"reason": func() error {
			_, err := operator.Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "x", Reason: huge}))
			return err
		},
		"name": func() error {
			_, err := operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{CommandId: "y", Tenant: "abc", Name: huge}))
			return err
		},
		"page.page_token": func() error {
			_, err := tenant.ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{Page: &bulkheadv1.Page{PageToken: long}}))
			return err
		},
		"scope": func() error {
			stream, err := operator.TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{Scope: long}))
			if err != nil {
				return err
			}
			stream.Receive()
			return stream.Err()
		},
	} {
		if err := call(); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s: %.200v", field, err)
		}
		if broken := w.plane.Broken(); broken != nil {
			t.Fatalf("%s: %v", field, broken)
		}
	}
	full := strings.Repeat("c", idLimit)
	done(t)(operator.Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: full, Reason: strings.Repeat("\"", textLimits["reason"])})))
	if _, err := w.quote(t, "administrator tidewater", full, 0, oneNode(t, "full", "tidewater")); err != nil {
		t.Errorf("the longest id that is taken: %v", err)
	}
}

// TestNothingUnknownIsSignedOver asks for a checkpoint over a tenant whose name
// carries the lines of another checkpoint.
func TestNothingUnknownIsSignedOver(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for tenant, want := range map[string]connect.Code{
		"flagship\n999\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=": connect.CodeInvalidArgument,
		"nobody": connect.CodeNotFound,
	} {
		note, err := w.client("auditor").GetCheckpoint(ctx, connect.NewRequest(&bulkheadv1.TenantRef{Tenant: tenant}))
		if connect.CodeOf(err) != want {
			t.Errorf("tenant %q: %v, %v", tenant, note, err)
		}
	}
}

func TestQuotesHoldCapacityNoLongerThanThePolicy(t *testing.T) {
	w := newWorld(t)
	for _, seconds := range []int64{-1, 100 * 365 * 86400, 1 << 62} {
		if _, err := w.quote(t, "administrator tidewater", "long", seconds, oneNode(t, "held", "tidewater")); err == nil || !strings.Contains(err.Error(), "valid_seconds") {
			t.Errorf("%d s: %v", seconds, err)
		}
	}
}

// TestARevokedTokenLosesItsStream follows the log, ends the token, and writes:
// what is written must not arrive.
func TestARevokedTokenLosesItsStream(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := w.client("auditor").TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{Scope: book.SiteScope, Follow: true}))
	if err != nil || !stream.Receive() {
		t.Fatal(err, stream.Err())
	}
	list, err := w.tokens.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range list {
		if token.Role == Auditor {
			if err := w.tokens.Revoke(token.ID, start); err != nil {
				t.Fatal(err)
			}
		}
	}
	done(t)(w.client("operator").Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "p", Reason: "after the end"})))
	for stream.Receive() {
		if strings.Contains(stream.Msg().Body, "after the end") {
			t.Fatal("a revoked token is still sent entries")
		}
	}
	if connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

// TestAnUsedIDWithAnotherRequest gives one id to several requests: those after
// the first must neither be answered with "done already" nor be carried out.
func TestAnUsedIDWithAnotherRequest(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	operator := w.client("operator")
	hold := &bulkheadv1.PauseRequest{CommandId: "one", Reason: "x"}
	done(t)(operator.Pause(ctx, connect.NewRequest(hold)))
	for what, call := range map[string]func() (*connect.Response[bulkheadv1.Done], error){
		"another method": func() (*connect.Response[bulkheadv1.Done], error) {
			return operator.Resume(ctx, connect.NewRequest(hold))
		},
		"another field": func() (*connect.Response[bulkheadv1.Done], error) {
			return operator.Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "one", Reason: "x", Hall: "hall-a"}))
		},
		"a key": func() (*connect.Response[bulkheadv1.Done], error) {
			return operator.RotateKey(ctx, connect.NewRequest(&bulkheadv1.RotateKeyRequest{CommandId: "one", Purpose: "statement"}))
		},
		"a site": func() (*connect.Response[bulkheadv1.Done], error) {
			return operator.ImportSite(ctx, connect.NewRequest(&bulkheadv1.SiteTemplate{CommandId: "one", File: "tiny", Template: read(t, "tiny/site.yaml")}))
		},
	} {
		answer, err := call()
		if connect.CodeOf(err) != connect.CodeAlreadyExists || fieldOf(t, err) != "command_id" {
			t.Errorf("%s under the id of pause: %v, %v", what, answer, err)
		}
	}
	w.plane.View(func(b *book.State) {
		if !b.PausedAt("") || b.PausedAt("hall-a") && len(b.Control.Paused) != 1 {
			t.Error("a refused request was carried out")
		}
	})
	if again, err := operator.Pause(ctx, connect.NewRequest(hold)); err != nil || !again.Msg.Repeated {
		t.Errorf("the same request again: %v, %v", again, err)
	}
	// Another caller's ids are its own.
	if other, err := w.client("approver").Pause(ctx, connect.NewRequest(hold)); err != nil || other.Msg.Repeated {
		t.Errorf("the same id of another caller: %v, %v", other, err)
	}
}

func TestKeysRotateOnce(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	operator := w.client("operator")
	keys := func() int {
		list, err := operator.ListKeys(ctx, connect.NewRequest(&bulkheadv1.ListKeysRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Msg.Keys)
	}
	before := keys()
	rotate := &bulkheadv1.RotateKeyRequest{CommandId: "k", Purpose: "statement"}
	done(t)(operator.RotateKey(ctx, connect.NewRequest(rotate)))
	if again, err := operator.RotateKey(ctx, connect.NewRequest(rotate)); err != nil || !again.Msg.Repeated || keys() != before+1 {
		t.Errorf("the same rotation again: %v, %v, %d keys", again, err, keys()-before)
	}
	// The new checkpoint key counts at once: rotating publishes with it.
	done(t)(operator.RotateKey(ctx, connect.NewRequest(&bulkheadv1.RotateKeyRequest{CommandId: "l", Purpose: "checkpoint"})))
	if published, err := w.published.Load(); err != nil || published.Size == 0 {
		t.Errorf("published after the rotation: %+v, %v", published, err)
	}
}

func TestATokenFileThatComesBackCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := tokens.Create("someone", Operator, "", start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		from, to string
		counts   bool
	}{{path, path + ".away", false}, {path + ".away", path, true}} {
		tokens.check(secret, start) // it has been read before
		if err := os.Rename(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		if _, ok := tokens.check(secret, start); ok != step.counts {
			t.Errorf("after moving %s: %t", filepath.Base(step.from), ok)
		}
	}
}

// TestWithoutDevicesNothingIsProven starts a second control plane on the ledger of
// one that has proven everything, without devices: what can't be read is unknown.
func TestWithoutDevicesNothingIsProven(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	viewer := w.client("viewer flagship")
	about := connect.NewRequest(&bulkheadv1.LeaseRef{Lease: "flagship/t1"})
	before, err := viewer.ShowIsolation(ctx, about)
	if err != nil || before.Msg.Verdict != "proven" || before.Msg.Ports == 0 {
		t.Fatalf("with devices: %v, %v", before, err)
	}
	blind, err := run.Open(ctx, run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "blind"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(Options{Plane: blind, Keys: w.keys, Tokens: w.tokens, Now: func() time.Time { return start }}))
	t.Cleanup(server.Close)
	w.url = server.URL
	after, err := w.client("viewer flagship").ShowIsolation(ctx, about)
	if err != nil || after.Msg.Verdict != "unknown" || after.Msg.Unknown != before.Msg.Ports {
		t.Errorf("without devices: %v, %v", after, err)
	}

	// Nor is anything up, after a while without a look.
	last := w.clock.Now()
	w.clock.Set(last.Add(3 * time.Hour))
	if err := blind.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	lease, err := w.client("viewer flagship").GetLease(ctx, about)
	if err != nil || lease.Msg.ObservedUp != 0 || len(lease.Msg.Silences) != 1 {
		t.Fatalf("without devices: %v, %v", lease, err)
	}
	if s := lease.Msg.Silences[0]; s.What != "the nodes, fabric roce" || s.From != last.Format(time.RFC3339) || s.Until != "" {
		t.Errorf("the silence is %v, expected from %s on", s, last)
	}
}

// TestWithoutASite calls every method as everybody on a control plane that knows
// nothing yet: none may fail as if something were broken.
func TestWithoutASite(t *testing.T) {
	bare := bareWorld(t)
	methods := bulkheadv1.File_bulkhead_v1_control_proto.Services().ByName("ControlPlane").Methods()
	for i := range methods.Len() {
		for who, secret := range bare.secret {
			switch code := bare.call(t, methods.Get(i), secret); code {
			case connect.CodeInternal, connect.CodeUnknown, connect.CodeUnavailable, connect.CodeDeadlineExceeded:
				t.Errorf("%s as %s: %s", methods.Get(i).Name(), who, code)
			}
		}
	}
}

// fieldOf is the field that an error names in its details.
func fieldOf(t *testing.T, err error) string {
	t.Helper()
	var failed *connect.Error
	if !asError(err, &failed) || len(failed.Details()) != 1 {
		return ""
	}
	detail, err := failed.Details()[0].Value()
	if err != nil {
		t.Fatal(err)
	}
	return detail.(*bulkheadv1.FieldError).Field
}

// TestAnImportUnderAnID imports under an id, again, and the site as a diff.
func TestAnImportUnderAnID(t *testing.T) {
	w := bareWorld(t)
	ctx := context.Background()
	operator := w.client("operator")
	template := &bulkheadv1.SiteTemplate{CommandId: "i", File: "tiny", Template: read(t, "tiny/site.yaml")}
	first, err := operator.ImportSite(ctx, connect.NewRequest(template))
	if err != nil || first.Msg.Repeated || first.Msg.Entry == 0 {
		t.Fatalf("%v, %v", first, err)
	}
	again, err := operator.ImportSite(ctx, connect.NewRequest(template))
	if err != nil || !again.Msg.Repeated || again.Msg.Entry != first.Msg.Entry {
		t.Errorf("again: %v, %v", again, err)
	}
	diff, err := operator.DiffSite(ctx, connect.NewRequest(template))
	if err != nil || diff.Msg.Text != "no change\n" {
		t.Errorf("diff: %v, %v", diff, err)
	}
}

// TestWhatIsNotKnownIsRefused sends fields that the server does not know.
func TestWhatIsNotKnownIsRefused(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]int{
		`{"command_id":"j1","reason":"x"}`:   http.StatusOK,
		`{"commandId":"j2","reason":"x"}`:    http.StatusOK,
		`{"comand_id":"j3","reason":"x"}`:    http.StatusBadRequest,
		`{"command_id":"j4","reason":["x"]}`: http.StatusBadRequest,
		``:                                   http.StatusBadRequest,
	} {
		for _, media := range []string{"application/json", "application/json; charset=utf-8"} {
			request, err := http.NewRequest("POST", w.url+"/bulkhead.v1.ControlPlane/Pause", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", media)
			response, err := (&http.Client{Transport: bearer{w.secret["operator"]}}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s %s: %s, expected %d", media, body, response.Status, want)
			}
		}
	}
	request := &bulkheadv1.PauseRequest{CommandId: "u", Reason: "x"}
	request.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "what is this"))
	if _, err := w.client("operator").Pause(context.Background(), connect.NewRequest(request)); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("an unknown field in a message: %v", err)
	}
}
