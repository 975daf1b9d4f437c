package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage"
)

// What the owner's machines call themselves. None of it is a tenant's business.
const (
	ownersSocket  = "/srv/owner-9/devices.sock"
	ownersFolder  = "/srv/owner-9/data"
	ownersManager = "opensm-on-mgmt-7"
)

// ownersThings are devices that say what the owner's machines are called whenever something
// is wrong with them, and a disk that does.
type ownersThings struct {
	*memory.Log
	gone   atomic.Bool // drivers do not answer
	loose  atomic.Bool // the management of fabrics is not guarded
	fails  atomic.Bool // steps on nodes fail
	faulty atomic.Bool // the disk does

	mu     sync.Mutex
	bodies map[claim.Digest][]byte // that were read
}

func (o *ownersThings) trouble(what string) error {
	if o.gone.Load() {
		return fmt.Errorf("devices at %s: %s: connection refused (%s)", ownersSocket, what, ownersManager)
	}
	return nil
}

func (o *ownersThings) disk() error {
	if o.faulty.Load() {
		return fmt.Errorf("open %s/ledger.db: input/output error", ownersFolder)
	}
	return nil
}

func (o *ownersThings) Body(ctx context.Context, d claim.Digest) ([]byte, error) {
	if err := o.disk(); err != nil {
		return nil, err
	}
	data, err := o.Log.Body(ctx, d)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bodies[d] = data
	return data, err
}

func (o *ownersThings) Read(ctx context.Context, from uint64) iter.Seq2[ledger.Entry, error] {
	return o.unlessFaulty(o.Log.Read(ctx, from))
}

func (o *ownersThings) ReadScope(ctx context.Context, scope string, from uint64) iter.Seq2[ledger.Entry, error] {
	return o.unlessFaulty(o.Log.ReadScope(ctx, scope, from))
}

func (o *ownersThings) unlessFaulty(all iter.Seq2[ledger.Entry, error]) iter.Seq2[ledger.Entry, error] {
	if err := o.disk(); err != nil {
		return func(yield func(ledger.Entry, error) bool) { yield(ledger.Entry{}, err) }
	}
	return all
}

type ownersFabric struct {
	fabric.Driver
	o *ownersThings
}

func (f ownersFabric) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if err := f.o.trouble("observe"); err != nil {
		return fabric.Observation{}, err
	}
	return f.Driver.Observe(ctx, s)
}

func (f ownersFabric) Apply(ctx context.Context, c fabric.Change, fence fabric.Fence) (fabric.ApplyReceipt, error) {
	if err := f.o.trouble("apply"); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	return f.Driver.Apply(ctx, c, fence)
}

func (f ownersFabric) Posture(context.Context) (fabric.Posture, error) {
	if err := f.o.trouble("posture"); err != nil {
		return fabric.Posture{}, err
	}
	p := fabric.Posture{Items: []fabric.PostureItem{{Name: "manager's key", OK: !f.o.loose.Load(), Grade: "measured", Evidence: "as " + ownersManager + " and port a1-su1-n01 say, by " + ownersFolder}}}
	return p, nil
}

type ownersNodes struct {
	node.Driver
	o *ownersThings
}

func (d ownersNodes) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	if err := d.o.trouble("nodes"); err != nil {
		return node.Observation{}, err
	}
	seen, err := d.Driver.Observe(ctx, since)
	for i := range seen.Reports {
		if r := &seen.Reports[i]; d.o.fails.Load() && r.Step != "" && r.Health == nil {
			r.OK, r.Error, r.Raw = false, "devices at "+ownersSocket+": the BMC of a neighbour is in the way ("+ownersManager+")", nil
		}
	}
	return seen, err
}

type ownersStorage struct {
	storage.Driver
	o *ownersThings
}

func (d ownersStorage) Grant(ctx context.Context, v storage.VolumeID, p storage.Principal) (storage.Credential, error) {
	if err := d.o.trouble("grant"); err != nil {
		return storage.Credential{}, err
	}
	return d.Driver.Grant(ctx, v, p)
}

// told is a world in which much has gone wrong, and who was told what.
type told struct {
	*world
	o   *ownersThings
	now time.Time

	findings []string // of isolation, while something was wrong
}

func (w *told) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(10 * time.Minute)
		if err := w.devices.Advance(context.Background(), w.now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(w.now)
		if err := w.plane.Tick(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// asked looks for secrets in what tenants are told of isolation, now.
func (w *told) asked(t *testing.T) {
	t.Helper()
	for tenant, id := range map[string]string{"flagship": "flagship/t1", "tidewater": "tidewater/w1"} {
		now, err := w.client("viewer "+tenant).ShowIsolation(context.Background(), connect.NewRequest(&bulkheadv1.LeaseRef{Lease: id}))
		if err != nil {
			t.Fatal(err)
		}
		w.findings = append(w.findings, now.Msg.Findings...)
		if found := find(w.secrets(tenant), protojson.Format(now.Msg)); found != "" {
			t.Errorf("isolation of %s tells of %s", id, found)
		}
	}
}

// newTold tells a story with faults of every kind: two rivals, drift, lost leaves,
// failures, wipes that fail, managers that are not guarded, drivers that are gone.
func newTold(t *testing.T) *told {
	t.Helper()
	ctx := context.Background()
	o := &ownersThings{Log: memory.New(), bodies: map[claim.Digest][]byte{}}
	base := bareWorldWith(t, func(c *run.Config) {
		c.Log = o
		for id, d := range c.Devices.Fabrics {
			c.Devices.Fabrics[id] = ownersFabric{d, o}
		}
		c.Devices.Nodes, c.Devices.Storage = ownersNodes{c.Devices.Nodes, o}, ownersStorage{c.Devices.Storage, o}
	})
	w := &told{world: base, o: o, now: start}
	operator, finance := w.client("operator"), w.client("finance")
	done(t)(operator.ImportSite(ctx, connect.NewRequest(&bulkheadv1.SiteTemplate{CommandId: "import", File: "tiny", Template: read(t, "tiny/site.yaml")})))
	for _, tenant := range []string{"flagship", "tidewater"} {
		done(t)(operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{CommandId: "r-" + tenant, Tenant: tenant, Name: tenant + " Incorporated"})))
		text := bytes.Replace(read(t, "tiny/"+tenant+".yaml"), []byte("\nnotice_days: 90"), []byte("\nnotice_days: 30"), 1)
		if _, err := finance.OfferQuote(ctx, connect.NewRequest(&bulkheadv1.OfferQuoteRequest{Quote: "q-" + tenant, File: tenant, Contract: text})); err != nil {
			t.Fatal(err)
		}
		done(t)(w.client("administrator "+tenant).SignLease(ctx, w.read(t, "administrator "+tenant, &bulkheadv1.SignLeaseRequest{CommandId: "s-" + tenant, Quote: "q-" + tenant})))
		if _, err := w.quote(t, "administrator "+tenant, "own", 0, ownNode(t, "own", tenant)); err != nil {
			t.Logf("%s asks by itself: %v", tenant, err)
		}
	}
	w.pass(t, 6*24*time.Hour)
	strike := func(f sim.Fault) {
		t.Helper()
		if err := w.devices.Inject(ctx, w.now, f); err != nil {
			t.Fatal(err)
		}
	}
	var of [2]site.Index // a node of each
	var last [2]site.Index
	var rivals [2]uint32 // the label of the other one on the frontend
	w.plane.View(func(b *book.State) {
		frontend := b.Site.Fabrics[b.Site.FrontendFabric()].ID
		for i, rival := range []string{"tidewater", "flagship"} {
			l, _ := b.Labels[frontend].ValueOf(book.ProjectOwner(rival, b.Contracts[rival].Current().Project))
			rivals[i] = l.Value
		}
		for i, id := range []lease.ID{"flagship/t1", "tidewater/w1"} {
			l, _ := b.LeaseByID(id)
			if l.Delivered == 0 {
				t.Fatalf("%s was not delivered", id)
			}
			of[i], last[i] = l.Slots[0], l.Slots[len(l.Slots)-1]
		}
	})
	for i := range of {
		strike(sim.Fault{Kind: sim.Unenforced, Node: of[i]})
		w.pass(t, time.Hour)
		strike(sim.Fault{Kind: sim.PortFails, Node: of[i], NIC: 8, For: 2 * time.Hour})   // so that it stays
		strike(sim.Fault{Kind: sim.Misconfigured, Node: of[i], NIC: 8, Label: rivals[i]}) // on the frontend, which both are on
		w.pass(t, 10*time.Minute)
		w.asked(t)
		w.pass(t, 4*time.Hour)
		strike(sim.Fault{Kind: sim.Fails, Node: last[i], Class: "return-to-vendor"})
		w.pass(t, time.Hour)
	}
	w.o.loose.Store(true)
	w.pass(t, 3*time.Hour)
	w.o.loose.Store(false)
	w.o.gone.Store(true)
	w.pass(t, 3*time.Hour)
	w.o.gone.Store(false)
	w.pass(t, 3*time.Hour)
	done(t)(operator.RescheduleHall(ctx, connect.NewRequest(&bulkheadv1.RescheduleHallRequest{CommandId: "slip-for-flagship-and-tidewater", Hall: "hall-c", InService: "2026-06-20T00:00:00Z", Reason: "the transformer came late"})))
	for _, tenant := range []string{"flagship", "tidewater"} {
		own := w.client("administrator " + tenant)
		act := &bulkheadv1.ActRequest{CommandId: "n-" + tenant, Contract: tenant, Act: "notice"}
		before, err := own.PreviewAct(ctx, connect.NewRequest(act))
		if err == nil {
			act.Confirmed = before.Msg.Digest
			_, err = own.PerformAct(ctx, connect.NewRequest(act))
		}
		t.Logf("notice of %s: %v", tenant, err)
	}
	w.pass(t, 20*24*time.Hour)
	w.o.fails.Store(true)
	w.pass(t, 20*24*time.Hour)
	w.o.fails.Store(false)
	w.pass(t, 2*24*time.Hour)
	return w
}

// ownNode is oneNode under a title of the tenant's own.
func ownNode(t *testing.T, id, tenant string) []byte {
	t.Helper()
	return bytes.Replace(oneNode(t, id, tenant), []byte("title: Tidewater, 32 H100 on InfiniBand"), []byte("title: a node of "+tenant), 1)
}

// secrets are texts that must not reach a tenant, with what each is.
func (w *told) secrets(tenant string) map[string]string {
	out := map[string]string{ownersSocket: "the owner's socket", ownersFolder: "the owner's folder", ownersManager: "the owner's manager", "in the way": "a driver's own words"}
	w.plane.View(func(b *book.State) {
		own := map[string]bool{}
		for _, l := range b.LeasesOf(tenant) {
			for _, n := range l.Slots {
				own[b.Site.NodeID[n]] = true
			}
		}
		for _, other := range b.TenantIDs() {
			if other == tenant {
				continue
			}
			out[other], out[b.Tenants[other].Name] = "a rival", "a rival's name"
			for _, l := range b.LeasesOf(other) {
				out[string(l.ID)] = "a rival's lease"
				for _, n := range l.Slots {
					if id := b.Site.NodeID[n]; !own[id] {
						out[id] = "a rival's node"
					}
				}
			}
			for id, k := range b.Contracts {
				if k.Current().Tenant == other {
					out[k.Current().Title] = "the title of a rival's contract"
					out[string(book.ProjectOwner(other, k.Current().Project))] = "a rival's project"
					for fabricID, pool := range b.Labels {
						if value, has := pool.ValueOf(book.ProjectOwner(other, k.Current().Project)); has {
							l := value
							out[l.String()] = "a rival's label of contract " + id
							out[fmt.Sprintf(`"fabric":"%s","kind":"%s","value":%d`, fabricID, l.Kind, l.Value)] = "a rival's label of contract " + id
						}
					}
				}
			}
		}
	})
	return out
}

// find names the first secret in a text.
func find(secrets map[string]string, text string) string {
	for secret, what := range secrets {
		if at := strings.Index(text, secret); at >= 0 && wholeWord(text, at, len(secret)) {
			return fmt.Sprintf("%s (%s): ...%s...", what, secret, text[max(at-60, 0):min(at+len(secret)+60, len(text))])
		}
	}
	return ""
}

// wholeWord says whether what is found is not a part of another word: of node
// a1-su1-n01, a1-su1-n011 says nothing.
func wholeWord(text string, at, length int) bool {
	letter := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= 'A' && text[i] <= 'Z' || text[i] >= '0' && text[i] <= '9')
	}
	return !letter(at-1) && !letter(at+length)
}

// TestNothingOfTheSitesReachesATenant knows all names: of the rival, its nodes, labels,
// leases and contracts, of the owner's sockets, folders and managers. It looks for them in
// every entry of each tenant's scope, in every body of its bundle, and in every answer and
// error of every method of the API with its tokens, asked with its own ids, the
// rival's, and none; while all is well, and while drivers and disk are not.
func TestNothingOfTheSitesReachesATenant(t *testing.T) {
	w := newTold(t)
	ctx := context.Background()
	if len(w.findings) == 0 {
		t.Error("nothing was found of a port with a rival's label")
	}
	for tenant, rival := range map[string]string{"flagship": "tidewater", "tidewater": "flagship"} {
		secrets := w.secrets(tenant)
		kinds := map[string]int{}
		for e, err := range w.o.Log.ReadScope(ctx, book.TenantScope(tenant), 1) {
			if err != nil {
				t.Fatal(err)
			}
			kinds[e.Kind]++
			if strings.Contains(string(e.Body), "the step failed") {
				kinds["a step that failed"]++
			}
			for where, text := range map[string]string{"body": string(e.Body), "command": e.Command} {
				if found := find(secrets, text); found != "" {
					t.Errorf("entry %d of %s, %s, tells in its %s of %s", e.ScopeSeq, tenant, e.Kind, where, found)
				}
			}
		}
		for _, want := range []string{fabric.KindDrifted, fabric.KindUnread, fabric.KindPosture, lease.KindProposed, node.KindMoved, "a step that failed"} {
			if kinds[want] == 0 {
				t.Errorf("the story of %s has no %s: %v", tenant, want, kinds)
			}
		}
		clear(w.o.bodies)
		w.methods(t, secrets, tenant, rival)
		for _, body := range w.o.bodies {
			if found := find(secrets, string(body)); found != "" {
				t.Errorf("a body in the bundle of %s tells of %s", tenant, found)
			}
		}
		w.o.gone.Store(true)
		w.methods(t, secrets, tenant, rival)
		w.o.gone.Store(false)
		w.o.faulty.Store(true)
		w.methods(t, secrets, tenant, rival)
		w.o.faulty.Store(false)
	}
}

var entryField = regexp.MustCompile(`"entry":\s*"?(\d+)`)

// methods calls every method that the tenant's roles may call.
func (w *told) methods(t *testing.T, secrets map[string]string, tenant, rival string) {
	t.Helper()
	for i := range methods().Len() {
		m := methods().Get(i)
		for _, role := range []Role{Administrator, Viewer} {
			if !allowed(string(m.Name()), role) {
				continue
			}
			for _, whose := range []string{tenant, rival, "nobody"} {
				said, header, err := w.say(t, m, w.secret[string(role)+" "+tenant], whose)
				asked := m.Name() + " of " + protoreflect.Name(whose) + " as " + protoreflect.Name(role)
				known := secrets
				if whose == rival { // an answer may repeat what was asked for
					known = map[string]string{}
					for secret, what := range secrets {
						if !strings.HasPrefix(what, "a rival") || what == "a rival's node" || strings.HasPrefix(what, "a rival's label") {
							known[secret] = what
						}
					}
					delete(known, w.node(rival))
				}
				for where, text := range map[string]string{"answer": said, "error": fmt.Sprint(err)} {
					if found := find(known, text); found != "" {
						t.Errorf("%s: the %s tells of %s", asked, where, found)
					}
				}
				var most uint64
				w.plane.View(func(b *book.State) { most = b.Scopes[book.TenantScope(tenant)] })
				for _, at := range append(entryField.FindAllStringSubmatch(said, -1), []string{"", header.Get(EntryHeader)}) {
					if n, err := strconv.ParseUint(at[1], 10, 64); err == nil && n > most {
						t.Errorf("%s: it is told position %d, its own scope has %d entries", asked, n, most)
					}
				}
			}
		}
	}
}

// node is one that a tenant holds.
func (w *told) node(tenant string) (id string) {
	w.plane.View(func(b *book.State) {
		if all := b.LeasesOf(tenant); len(all) > 0 {
			id = b.Site.NodeID[all[0].Slots[0]]
		}
	})
	return id
}

// say calls a method with the ids of a tenant.
func (w *told) say(t *testing.T, m protoreflect.MethodDescriptor, secret, whose string) (said string, header http.Header, err error) {
	t.Helper()
	leaseID := map[string]string{"flagship": "flagship/t1", "tidewater": "tidewater/w1", "nobody": "nobody/x"}[whose]
	text := []byte("nonsense")
	if whose != "nobody" {
		text = ownNode(t, "walk", whose)
	}
	nodeID := "no-such-node"
	if whose != "nobody" {
		nodeID = w.node(whose)
	}
	values := map[protoreflect.Name]string{
		"tenant": whose, "scope": book.TenantScope(whose), "quote": "own", "contract": whose, "lease": leaseID, "node": nodeID,
		"number": whose + "-0001", "volume": whose + "/datasets", "command_id": "walk-" + string(m.Name()) + whose, "reason": "walking", "line": "1", "file": "c.yaml",
	}
	request := dynamicpb.NewMessage(m.Input())
	for i := range m.Input().Fields().Len() {
		f := m.Input().Fields().Get(i)
		switch value, known := values[f.Name()]; {
		case f.IsList() || f.Message() != nil:
		case f.Kind() == protoreflect.BytesKind:
			request.Set(f, protoreflect.ValueOfBytes(text))
		case f.Kind() == protoreflect.StringKind && known:
			request.Set(f, protoreflect.ValueOfString(value))
		}
	}
	c := connect.NewClient[dynamicpb.Message, dynamicpb.Message](&http.Client{Transport: bearer{secret}}, w.url+"/"+string(m.Parent().FullName())+"/"+string(m.Name()),
		connect.WithSchema(m), connect.WithResponseInitializer(func(_ connect.Spec, message any) error {
			if d, ok := message.(*dynamicpb.Message); ok {
				*d = *dynamicpb.NewMessage(m.Output())
			}
			return nil
		}))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var b strings.Builder
	if m.IsStreamingServer() {
		stream, err := c.CallServerStream(ctx, connect.NewRequest(request))
		if err != nil {
			return "", nil, err
		}
		for stream.Receive() {
			if _, err := io.WriteString(&b, protojson.Format(stream.Msg())); err != nil {
				t.Fatal(err)
			}
		}
		return b.String(), stream.ResponseHeader(), detailed(stream.Err())
	}
	answer, err := c.CallUnary(ctx, connect.NewRequest(request))
	if err != nil {
		return "", http.Header{}, detailed(err)
	}
	return protojson.Format(answer.Msg), answer.Header(), nil
}

// detailed is an error with what is in its details and its header.
func detailed(err error) error {
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return err
	}
	text := err.Error()
	for _, d := range failed.Details() {
		text += fmt.Sprintf(" %q", d.Bytes())
	}
	return fmt.Errorf("%s %v", text, failed.Meta())
}
