package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

// untouched is a body of which a test notices every byte that is read.
type untouched struct {
	io.Reader
	read int
}

func (u *untouched) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	u.read += n
	return n, err
}

func (*untouched) Close() error { return nil }

// handler is the API as New returns it.
func (w *world) handler(change func(*Options)) http.Handler {
	o := Options{Plane: w.plane, Keys: w.keys, Tokens: w.tokens, Now: func() time.Time { return start }}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// post gives a handler one request, whose header may still be changed.
func post(h http.Handler, method, secret string, body io.Reader, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8470"+servicePath+method, body)
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestNothingIsReadForWhoMayNotCall sends bodies without a token, with one that is
// unknown, and with one of a role that may not call: not one byte is read, packed
// or not, by whatever protocol it comes.
func TestNothingIsReadForWhoMayNotCall(t *testing.T) {
	w := bareWorld(t)
	h := w.handler(nil)
	for _, kind := range []string{"application/json", "application/proto", "application/grpc", "application/grpc-web+proto", "application/connect+json", "text/html"} {
		for what, secret := range map[string]string{"nobody": "", "a stranger": "bh_madeup", "a viewer": w.secret["viewer flagship"], "a monitor": w.secret["monitor"]} {
			for _, method := range []string{"ImportSite", "CordonNode", "PlanSpares"} {
				body := &untouched{Reader: strings.NewReader(strings.Repeat(" ", 5000))}
				answer := post(h, method, secret, body, func(r *http.Request) {
					r.Header.Set("Content-Type", kind)
					r.Header.Set("Content-Encoding", "gzip")
				})
				if body.read != 0 {
					t.Errorf("%s as %s to %s: %d bytes were read", kind, what, method, body.read)
				}
				if answer.Code == http.StatusOK && answer.Header().Get("Grpc-Status") == "" && !strings.Contains(answer.Body.String(), `"error"`) {
					t.Errorf("%s as %s to %s: answered %d %.200s", kind, what, method, answer.Code, answer.Body)
				}
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/nothing"} {
		body := &untouched{Reader: strings.NewReader("{}")}
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, body)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if body.read != 0 {
			t.Errorf("%s: %d bytes were read", path, body.read)
		}
	}
}

// TestOnlyDocumentsAreLarge: what is decoded into many small pieces takes many
// times its size, so that it may not be large, and what may be large has no pieces.
func TestOnlyDocumentsAreLarge(t *testing.T) {
	all := schema.Methods()
	for i := range all.Len() {
		m := all.Get(i)
		fields := m.Input().Fields()
		for j := range fields.Len() {
			f := fields.Get(j)
			if largest(string(m.Name())) > maxPlain && (f.IsList() || f.IsMap() || f.Message() != nil) {
				t.Errorf("%s: %s can be repeated %d times in one request", m.Name(), f.Name(), maxRequest/2)
			}
		}
		if large := largest(string(m.Name())) > maxPlain; large && !dearMethods[string(m.Name())] {
			t.Errorf("%s takes documents and is not among the dear methods, of which few may be in flight", m.Name())
		}
	}
	for method := range dearMethods {
		if all.ByName(name(method)) == nil {
			t.Errorf("%s is dear and no method", method)
		}
	}
}

// TestBombs sends what unpacks to a thousand times its size, and what would be
// decoded into a hundred thousand messages.
func TestBombs(t *testing.T) {
	w := bareWorld(t)
	h := w.handler(nil)
	var pieces []byte
	for range 100_000 {
		pieces = protowire.AppendTag(pieces, 1, protowire.BytesType)
		pieces = protowire.AppendVarint(pieces, 0)
	}
	for what, plain := range map[string][]byte{"blanks": bytes.Repeat([]byte(" "), 4<<20), "pieces": pieces} {
		for _, kind := range []string{"application/json", "application/proto"} {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(plain)
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			answer := post(h, "PlanSpares", w.secret["operator"], &packed, func(r *http.Request) {
				r.Header.Set("Content-Type", kind)
				r.Header.Set("Content-Encoding", "gzip")
			})
			if answer.Code != http.StatusTooManyRequests || !strings.Contains(answer.Body.String(), "resource_exhausted") {
				t.Errorf("%s as %s: %d %s", what, kind, answer.Code, answer.Body)
			}
		}
	}
}

// TestInFlight fills what one token, and what tenants together, may have in
// flight: the next call is refused with the time to wait, others are let in, and
// when one ends the next enters.
func TestInFlight(t *testing.T) {
	token := func(id string, role Role) *Token { return &Token{ID: id, Role: role} }
	g := newGate(Limits{Calls: Limit{2, 8}, Watches: Limit{1, 4}, Dear: Limit{1, 4}})
	enter := func(t *testing.T, who *Token, method string, want bool) func() {
		t.Helper()
		leave, err := g.enter(who, method)
		if (err == nil) != want || err != nil && connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("%s, %s: %v", who.ID, method, err)
		}
		return leave
	}
	a := token("a", Operator)
	enter(t, a, "ListNodes", true)
	leave := enter(t, a, "ListNodes", true)
	enter(t, a, "ListNodes", false)
	enter(t, a, "ImportSite", true) // of another kind
	enter(t, a, "DiffSite", false)
	leave()
	leave = enter(t, a, "ListNodes", true)
	for i, id := range []string{"t1", "t1", "t2", "t2", "t3", "t3"} {
		enter(t, token(id, Viewer), "ListLeases", true)
		if i == 5 {
			enter(t, token("t4", Viewer), "ListLeases", false) // tenants have their share
		}
	}
	enter(t, token("b", Operator), "ListLeases", false) // all have
	leave()
	for range 3 {
		enter(t, token("b", Operator), "ListLeases", true)()
	}
	if n := g.inFlight(); n != [kinds]int{7, 0, 1} {
		t.Errorf("%v are in flight", n)
	}
}

// TestTooManyAreToldToWait keeps a call of one token from ending and sends another.
func TestTooManyAreToldToWait(t *testing.T) {
	w := bareWorld(t)
	h := w.handler(func(o *Options) { o.Limits = Limits{Calls: Limit{1, 4}, Watches: Limit{1, 4}, Dear: Limit{1, 4}} })
	in, out := io.Pipe()
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- post(h, "ListNodes", w.secret["operator"], in, nil) }()
	if _, err := io.WriteString(out, "{"); err != nil { // it is being read: it is in flight
		t.Fatal(err)
	}
	body := &untouched{Reader: strings.NewReader("{}")}
	if second := post(h, "ListNodes", w.secret["operator"], body, nil); second.Code != http.StatusTooManyRequests || second.Header().Get("Retry-After") != "1" || body.read != 0 || !strings.Contains(second.Body.String(), "resource_exhausted") {
		t.Errorf("%d %v %s, %d bytes read", second.Code, second.Header(), second.Body, body.read)
	}
	if other := post(h, "ListNodes", w.secret["auditor"], strings.NewReader("{}"), nil); other.Code == http.StatusTooManyRequests {
		t.Errorf("another token: %d %s", other.Code, other.Body)
	}
	if err := errors.Join(func() error { _, err := io.WriteString(out, "}"); return err }(), out.Close()); err != nil {
		t.Fatal(err)
	}
	<-first
	if third := post(h, "ListNodes", w.secret["operator"], strings.NewReader("{}"), nil); third.Code == http.StatusTooManyRequests {
		t.Errorf("when the first had ended: %d %s", third.Code, third.Body)
	}
}

// TestTheRestOfABodyIsNoRequest leaves a body unread in which another request is
// written: it must never be taken for one, or whoever shares a proxy's connection
// would be answered by what somebody else has sent.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	w := newWorld(t)
	address := w.serve(t)
	before := w.seq()
	inside := "POST " + servicePath + "Pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer " + w.secret["operator"] + "\r\nContent-Length: 36\r\n\r\n" + `{"command_id":"in","reason":"inside"}`
	body := strings.Repeat("x", 300<<10) + "\r\n\r\n" + strings.Repeat(inside+"\r\n", 400)
	for _, method := range []string{"POST /healthz", "GET /readyz", "GET /metrics", "POST " + servicePath + "ListNodes", "POST /nothing"} {
		for _, header := range []string{"", "Authorization: Bearer " + w.secret["operator"] + "\r\n"} {
			c := dial(t, address, method+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+header+"Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
			go func() { _, _ = io.WriteString(c, body) }() // the server may have hung up
			answer := bufio.NewReader(c)
			response, err := http.ReadResponse(answer, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			if second, err := http.ReadResponse(answer, nil); err == nil {
				t.Errorf("%s %.14s: answered twice, then %s", method, header, second.Status)
			}
		}
	}
	if w.seq() != before {
		t.Error("what was written in a body was carried out")
	}
}

// TestOtherSitesPages asks as a browser does for a page of somebody else's: one
// whose name was made to point here, and one that calls across.
func TestOtherSitesPages(t *testing.T) {
	w := bareWorld(t)
	h := w.handler(func(o *Options) { o.Hosts = []string{"Bulkhead.example."} })
	for _, path := range []string{"/healthz", "/readyz", "/metrics", servicePath + "ListNodes"} {
		for what, c := range map[string]struct {
			host, header, value string
			want                bool
		}{
			"an address":             {"127.0.0.1:8470", "", "", true},
			"an address of six":      {"[::1]:8470", "", "", true},
			"localhost":              {"LocalHost:8470", "", "", true},
			"its name":               {"bulkhead.example", "", "", true},
			"its name and a dot":     {"bulkhead.example.:443", "", "", true},
			"its page":               {"bulkhead.example", "Origin", "https://bulkhead.example", true},
			"a name made to point":   {"rebound.example:8470", "", "", false},
			"no name":                {"", "", "", false},
			"a name like it":         {"localhost.rebound.example", "", "", false},
			"a page across":          {"127.0.0.1:8470", "Origin", "http://elsewhere.example", false},
			"a page of another port": {"127.0.0.1:8470", "Origin", "http://127.0.0.1:3000", false},
			"a page of no origin":    {"127.0.0.1:8470", "Origin", "null", false},
			"a picture across":       {"127.0.0.1:8470", "Sec-Fetch-Site", "cross-site", false},
			"a picture beside":       {"127.0.0.1:8470", "Sec-Fetch-Site", "same-site", false},
			"typed":                  {"127.0.0.1:8470", "Sec-Fetch-Site", "none", true},
		} {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
			if strings.HasPrefix(path, servicePath) {
				r = httptest.NewRequest(http.MethodPost, "http://127.0.0.1"+path, strings.NewReader("{}"))
				r.Header.Set("Content-Type", "application/json")
			}
			r.Header.Set("Authorization", "Bearer "+w.secret["operator"])
			r.Host = c.host
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if let := answer.Code != http.StatusForbidden; let != c.want {
				t.Errorf("%s by %s: %d %s", path, what, answer.Code, answer.Body)
			}
		}
	}
}

// TestMetricsAreForTheMonitoring: counts say how busy a site is.
func TestMetricsAreForTheMonitoring(t *testing.T) {
	w := newWorld(t)
	h := w.handler(nil)
	get := func(secret string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		return answer
	}
	for who, secret := range w.secret {
		role := Role(strings.Fields(who)[0])
		want := http.StatusForbidden
		if slices.Contains([]Role{Monitor, Operator, Auditor}, role) {
			want = http.StatusOK
		}
		answer := get(secret)
		if answer.Code != want {
			t.Errorf("%s: %d", who, answer.Code)
		}
		if body := answer.Body.String(); want == http.StatusOK && !strings.Contains(body, `bulkhead_nodes{state="delivered"}`) || strings.Contains(body, "flagship") || strings.Contains(body, "tidewater") {
			t.Errorf("%s: %.400s", who, body)
		}
	}
	for _, secret := range []string{"", "bh_madeup"} {
		if answer := get(secret); answer.Code != http.StatusUnauthorized || answer.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("token %q: %d %v", secret, answer.Code, answer.Header())
		}
	}
}

// TestRequestsAreCounted asks for this and that, and reads how often.
func TestRequestsAreCounted(t *testing.T) {
	w := newWorld(t)
	h := w.handler(nil)
	secret := w.secret["operator"]
	post(h, "ListNodes", secret, strings.NewReader("{}"), nil)
	post(h, "ListNodes", secret, strings.NewReader("{}"), nil)
	post(h, "ListNodes", secret, strings.NewReader("{"), nil)
	post(h, "ListNodes", "", strings.NewReader("{}"), nil)
	post(h, "CordonNode", secret, strings.NewReader(`{"node":"nowhere"}`), nil)
	post(h, "flagship", secret, strings.NewReader("{}"), nil)
	post(h, "TailLedger", secret, strings.NewReader("{}"), func(r *http.Request) { r.Header.Set("Content-Type", "application/connect+json") })
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
	r.Header.Set("Authorization", "Bearer "+w.secret["monitor"])
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	page := answer.Body.String()
	for _, line := range []string{
		`bulkhead_requests_total{code="ok",method="ListNodes"} 2`,
		`bulkhead_requests_total{code="unauthenticated",method="ListNodes"} 1`,
		`bulkhead_requests_total{code="http_400",method="ListNodes"} 1`,
		`bulkhead_requests_total{code="invalid_argument",method="CordonNode"} 1`,
		`bulkhead_requests_total{code="http_404",method="other"} 1`,
		`bulkhead_request_seconds_count{method="ListNodes"} 2`,
		`bulkhead_requests_in_flight{kind="ordinary"} 1`, // this one
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("%s is not in\n%s", line, grep(page, "bulkhead_request"))
		}
	}
	if strings.Contains(page, `bulkhead_request_seconds_count{method="TailLedger"}`) || strings.Contains(page, "flagship") {
		t.Error("a stream's duration is counted, or a name that the caller chose")
	}
}

func grep(page, prefix string) (out string) {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, prefix) && !strings.Contains(line, "bucket") {
			out += line
		}
	}
	return out
}

// TestALargeDocumentOverHTTP2 comes through windows that are smaller than it.
func TestALargeDocumentOverHTTP2(t *testing.T) {
	w := bareWorld(t)
	w.serve(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	client := bulkheadv1connect.NewControlPlaneClient(&http.Client{Transport: shown{w.secret["operator"], transport, "HTTP/2.0", t}}, w.url)
	large := append(read(t, "tiny/site.yaml"), "\n#"+strings.Repeat("x", 3<<20)...)
	if _, err := client.ImportSite(t.Context(), connect.NewRequest(&bulkheadv1.SiteTemplate{CommandId: "i", File: "large.yaml", Template: large})); err != nil && connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Error(err)
	}
	large = make([]byte, maxRequest+2*maxFraming)
	if _, err := client.ImportSite(t.Context(), connect.NewRequest(&bulkheadv1.SiteTemplate{CommandId: "j", File: "large.yaml", Template: large})); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a larger one: %v", err)
	}
}
