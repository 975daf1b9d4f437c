package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

var start = time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC)

// world is a server over the tiny site, with two rivals' leases delivered.
type world struct {
	url    string
	secret map[string]string // by role, tenants' roles as "administrator flagship"
	plane  *run.Plane
	tokens *Tokens

	devices *sim.Sim
	clock   *run.VirtualClock

	log       *memory.Log
	keys      *keystore.Store
	published *ledger.Published
}

// bareWorld is a server that knows no site yet, with a token for every role.
func bareWorld(t *testing.T) *world { return bareWorldWith(t, func(*run.Config) {}) }

// bareWorldWith is bareWorld, with another plane.
func bareWorldWith(t *testing.T, change func(*run.Config)) *world {
	t.Helper()
	ctx := context.Background()
	template, err := site.ParseTemplate("tiny", read(t, "tiny/site.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := sim.DefaultConfig(1, start)
	config.FailureRate, config.DeadShare, config.SlowShare = 0, 0, 0
	devices, err := sim.FromTemplate(template, config)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keystore.InMemory(rand.NewChaCha8([32]byte{1}), start)
	if err != nil {
		t.Fatal(err)
	}
	clock := run.NewVirtualClock(start)
	log := memory.New()
	published := &ledger.Published{Path: filepath.Join(t.TempDir(), "checkpoint"), Verifiers: keys.Verifiers}
	planeConfig := run.Config{Log: log, Signers: keys, Published: published, Clock: clock, Writer: "test", Devices: run.Devices{Fabrics: devices.Fabrics(), Nodes: devices.Nodes(), Storage: devices.Storage()}}
	change(&planeConfig)
	plane, err := run.Open(ctx, planeConfig)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{secret: map[string]string{}, plane: plane, tokens: tokens, devices: devices, clock: clock, log: log, keys: keys, published: published}
	for _, role := range Roles() {
		tenants := []string{""}
		if role.OfTenant() {
			tenants = []string{"flagship", "tidewater"}
		}
		for _, tenant := range tenants {
			name := strings.TrimSpace(string(role) + " " + tenant)
			if w.secret[name], _, err = tokens.Create(name, role, tenant, start, 24*time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	server := httptest.NewServer(New(Options{Plane: plane, Keys: keys, Tokens: tokens, Now: func() time.Time { return start }}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	w := bareWorld(t)
	operator, finance := w.client("operator"), w.client("finance")
	done(t)(operator.ImportSite(ctx, connect.NewRequest(&bulkheadv1.SiteTemplate{File: "tiny", Template: read(t, "tiny/site.yaml")})))
	for _, tenant := range []string{"flagship", "tidewater"} {
		done(t)(operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{CommandId: "r-" + tenant, Tenant: tenant, Name: tenant})))
		if _, err := finance.OfferQuote(ctx, connect.NewRequest(&bulkheadv1.OfferQuoteRequest{Quote: "q-" + tenant, File: tenant, Contract: read(t, "tiny/"+tenant+".yaml")})); err != nil {
			t.Fatal(err)
		}
		done(t)(w.client("administrator "+tenant).SignLease(ctx, w.read(t, "administrator "+tenant, &bulkheadv1.SignLeaseRequest{CommandId: "s-" + tenant, Quote: "q-" + tenant})))
	}
	for now := start; now.Before(start.AddDate(0, 0, 2)); now = now.Add(10 * time.Minute) {
		if err := w.devices.Advance(ctx, now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		if err := w.plane.Tick(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// read is a signature by somebody who has read the page of the quote, if they can.
func (w *world) read(t *testing.T, who string, sign *bulkheadv1.SignLeaseRequest) *connect.Request[bulkheadv1.SignLeaseRequest] {
	t.Helper()
	q, err := w.client(who).ShowQuote(context.Background(), connect.NewRequest(&bulkheadv1.QuoteRef{Quote: sign.Quote, Tenant: sign.Tenant}))
	if err == nil {
		sign.Digest = q.Msg.PageDigest
	}
	return connect.NewRequest(sign)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := examples.Files.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func done(t *testing.T) func(*connect.Response[bulkheadv1.Done], error) {
	return func(_ *connect.Response[bulkheadv1.Done], err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// bearer shows a token with every request.
type bearer struct{ secret string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b.secret != "" {
		r.Header.Set("Authorization", "Bearer "+b.secret)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (w *world) client(who string) bulkheadv1connect.ControlPlaneClient {
	return bulkheadv1connect.NewControlPlaneClient(&http.Client{Transport: bearer{w.secret[who]}}, w.url)
}

// TestEveryMethodWithEveryRole calls every method of the service as every role
// and as nobody, and compares with the one table. A method that the table lacks
// fails here.
func TestEveryMethodWithEveryRole(t *testing.T) {
	w := newWorld(t)
	methods := bulkheadv1.File_bulkhead_v1_control_proto.Services().ByName("ControlPlane").Methods()
	if methods.Len() != len(policy) {
		t.Errorf("%d methods, %d rules", methods.Len(), len(policy))
	}
	for i := range methods.Len() {
		m := methods.Get(i)
		name := string(m.Name())
		if _, ok := policy[name]; !ok {
			t.Errorf("%s has no rule: nobody may call it, and nobody decided that", name)
		}
		for who, secret := range w.secret {
			role := Role(strings.Fields(who)[0])
			code := w.call(t, m, secret)
			switch want := slices.Contains(policy[name].roles, role); {
			case want && (code == connect.CodePermissionDenied || code == connect.CodeUnauthenticated || code == connect.CodeUnimplemented):
				t.Errorf("%s as %s: %s, the table allows it", name, who, code)
			case !want && code != connect.CodePermissionDenied:
				t.Errorf("%s as %s: %s, the table forbids it", name, who, code)
			}
		}
		for _, secret := range []string{"", "bh_madeup"} {
			if code := w.call(t, m, secret); code != connect.CodeUnauthenticated {
				t.Errorf("%s with token %q: %s", name, secret, code)
			}
		}
	}
}

// call calls a method with an empty request and returns the code, 0 for success.
func (w *world) call(t *testing.T, m protoreflect.MethodDescriptor, secret string) connect.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	url := w.url + "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	http := &http.Client{Transport: bearer{secret}}
	initialise := connect.WithResponseInitializer(func(_ connect.Spec, message any) error {
		if d, ok := message.(*dynamicpb.Message); ok {
			*d = *dynamicpb.NewMessage(m.Output())
		}
		return nil
	})
	c := connect.NewClient[dynamicpb.Message, dynamicpb.Message](http, url, connect.WithSchema(m), initialise)
	request := connect.NewRequest(dynamicpb.NewMessage(m.Input()))
	var err error
	if m.IsStreamingServer() {
		stream, streamErr := c.CallServerStream(ctx, request)
		if err = streamErr; err == nil {
			for stream.Receive() {
			}
			err = stream.Err()
		}
	} else {
		_, err = c.CallUnary(ctx, request)
	}
	if err == nil {
		return 0
	}
	return connect.CodeOf(err)
}

// TestATenantSeesItsOwnAndNothingElse asks for a rival's things as a tenant: the
// answer is the one for things that do not exist.
func TestATenantSeesItsOwnAndNothingElse(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	rival := w.client("administrator tidewater")
	leases, err := rival.ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{}))
	if err != nil || len(leases.Msg.Leases) != 1 || leases.Msg.Leases[0].Id != "tidewater/w1" {
		t.Fatalf("leases of tidewater: %v, %v", leases, err)
	}
	if l := leases.Msg.Leases[0]; l.State != "delivered" || l.Isolation != "proven" || l.ObservedUp != l.DesiredSlots {
		t.Errorf("its lease: %v", l)
	}
	own, err := rival.ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{Page: &bulkheadv1.Page{PageSize: 1000}}))
	if err != nil || len(own.Msg.Nodes) != int(leases.Msg.Leases[0].DesiredSlots) {
		t.Errorf("%d nodes, %v", len(own.Msg.GetNodes()), err)
	}
	flagship, err := w.client("viewer flagship").ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{}))
	if err != nil || len(flagship.Msg.Nodes) == 0 {
		t.Fatal(err)
	}
	foreign := flagship.Msg.Nodes[0].Id
	lease := connect.NewRequest(&bulkheadv1.LeaseRef{Lease: "flagship/t1"})
	node := connect.NewRequest(&bulkheadv1.NodeRef{Node: foreign})
	checks := map[string]error{}
	_, checks["lease"] = rival.GetLease(ctx, lease)
	_, checks["hosts"] = rival.GetHosts(ctx, lease)
	_, checks["isolation"] = rival.ShowIsolation(ctx, lease)
	_, checks["proof"] = rival.ProveLease(ctx, lease)
	_, checks["node"] = rival.GetNode(ctx, node)
	_, checks["notice"] = rival.PerformAct(ctx, connect.NewRequest(&bulkheadv1.ActRequest{CommandId: "x", Contract: "flagship", Act: "notice"}))
	_, checks["preview"] = rival.PreviewAct(ctx, connect.NewRequest(&bulkheadv1.ActRequest{Contract: "flagship", Act: "notice"}))
	_, checks["acts"] = rival.ListActs(ctx, connect.NewRequest(&bulkheadv1.ContractRef{Contract: "flagship"}))
	_, checks["checkpoint"] = rival.GetCheckpoint(ctx, connect.NewRequest(&bulkheadv1.TenantRef{Tenant: "flagship"}))
	_, checks["invoice"] = rival.GetInvoice(ctx, connect.NewRequest(&bulkheadv1.InvoiceRef{Number: "flagship-0001"}))
	_, checks["quote"] = rival.OfferQuote(ctx, connect.NewRequest(&bulkheadv1.OfferQuoteRequest{Quote: "x", File: "x", Contract: read(t, "tiny/flagship.yaml")}))
	_, checks["acknowledge"] = rival.AcknowledgeReplacement(ctx, connect.NewRequest(&bulkheadv1.AcknowledgeRequest{CommandId: "y", Lease: "flagship/t1"}))
	if stream, err := rival.WriteBundle(ctx, connect.NewRequest(&bulkheadv1.TenantRef{Tenant: "flagship"})); err == nil {
		for stream.Receive() {
		}
		checks["bundle"] = stream.Err()
	}
	if stream, err := rival.TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{Scope: "tenant/flagship"})); err == nil {
		for stream.Receive() {
		}
		checks["ledger"] = stream.Err()
	}
	for what, err := range checks {
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s of a rival: %v, expected not found", what, err)
		}
	}
	stream, err := rival.TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for stream.Receive() {
		entries++
		if e := stream.Msg(); e.Scope != "tenant/tidewater" || strings.Contains(e.Body, "flagship") || strings.Contains(e.Body, foreign) {
			t.Errorf("tidewater is shown %s entry %d: %s", e.Scope, e.ScopeSeq, e.Body)
		}
	}
	if stream.Err() != nil || entries == 0 {
		t.Errorf("%d entries, %v", entries, stream.Err())
	}
}

func TestCommandsAreIdempotentAndErrorsNameTheField(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	operator := w.client("operator")
	pause := connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: "p1", Reason: "test"})
	first, err := operator.Pause(ctx, pause)
	if err != nil || first.Msg.Repeated || first.Msg.Nothing {
		t.Fatalf("%v %v", first, err)
	}
	again, err := operator.Pause(ctx, pause)
	if err != nil || !again.Msg.Repeated {
		t.Errorf("the same id again: %v %v", again, err)
	}
	_, err = operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{CommandId: "t1", Tenant: "Not An Id"}))
	var failed *connect.Error
	if !asError(err, &failed) || failed.Code() != connect.CodeInvalidArgument || len(failed.Details()) != 1 {
		t.Fatalf("%v", err)
	}
	detail, err := failed.Details()[0].Value()
	if f, ok := detail.(*bulkheadv1.FieldError); err != nil || !ok || f.Field != "tenant" || f.Reason == "" {
		t.Errorf("detail %v, %v", detail, err)
	}
	bad := bytes.Replace(read(t, "tiny/flagship.yaml"), []byte("gpus: 64"), []byte("gpus: 63"), 1)
	if _, err := w.client("finance").OfferQuote(ctx, connect.NewRequest(&bulkheadv1.OfferQuoteRequest{Quote: "z", File: "bad.yaml", Contract: bad})); err == nil || !strings.Contains(err.Error(), "bad.yaml:") {
		t.Errorf("a bad contract: %v", err)
	}
	if _, err := contract.Parse("bad.yaml", bad); err == nil {
		t.Error("the case changes nothing")
	}
}

func asError(err error, into **connect.Error) bool {
	e, ok := err.(*connect.Error)
	*into = e
	return ok
}

func TestJSONThatCurlCanPost(t *testing.T) {
	w := newWorld(t)
	request, err := http.NewRequest("POST", w.url+"/bulkhead.v1.ControlPlane/ShowSite", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+w.secret["auditor"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct{ Name, Gpus string }
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || got.Name != "tiny" || got.Gpus != "512" {
		t.Errorf("%+v, %v", got, err)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok"} {
		response, err := http.Get(w.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.200s", path, response.StatusCode, body)
		}
		if strings.Contains(string(body), "flagship") {
			t.Errorf("%s names a tenant without a token", path)
		}
	}
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	secret, token, err := tokens.Create("someone", Operator, "", start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte(secret)) {
		t.Errorf("the file holds the token itself, or can't be read: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, ok := tokens.check(secret, start.Add(time.Minute)); !ok {
		t.Error("a good token is refused")
	}
	if _, ok := tokens.check(secret, start.Add(2*time.Hour)); ok {
		t.Error("an expired token is taken")
	}
	if _, ok := tokens.check(secret[:len(secret)-1], start); ok {
		t.Error("a part of a token is taken")
	}
	beside, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := beside.Revoke(token.ID, start); err != nil {
		t.Fatal(err)
	}
	if _, ok := tokens.check(secret, start); ok {
		t.Error("a token that was revoked beside the server is taken")
	}
	for _, bad := range []struct {
		role   Role
		tenant string
	}{{"root", ""}, {Operator, "flagship"}, {Viewer, ""}} {
		if _, _, err := tokens.Create("x", bad.role, bad.tenant, start, time.Hour); err == nil {
			t.Errorf("a token of role %q for tenant %q was made", bad.role, bad.tenant)
		}
	}
	if err := os.WriteFile(path, []byte(`[{"id":1}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTokens(path); err == nil {
		t.Error("a damaged token file was read")
	}
}
