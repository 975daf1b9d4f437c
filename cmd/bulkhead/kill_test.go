package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/api"
	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/keystore"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/run/datadir"
)

// kills is how often the server is killed while it works.
const kills = 8

// TestKilledServer kills a server without warning, again and again, while
// somebody sells a lease over its API and it hands the lease over. Nothing that
// it has answered is lost, nothing is done twice, and the lease is delivered.
func TestKilledServer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	d := datadir.Dir(filepath.Join(t.TempDir(), "data"))
	s := &seller{t: t, d: d, socket: simulate(t, "3600")}
	text, err := firstLease(24) // 24 seconds at this speed: not over before it is sold, on a machine with much else to do
	if err != nil {
		t.Fatal(err)
	}
	s.contract = []byte(text)
	for round := range kills {
		p := s.serve()
		after := time.Duration(random.IntN(700_000)) * time.Microsecond // while it commissions, labels and hands over
		if round%2 == 0 {
			after /= 10 // while it is asked
		}
		time.AfterFunc(after, func() { _ = p.command.Process.Kill() })
		s.sell(t.Context())
		if err := p.wait(t); err == nil {
			t.Fatalf("round %d: it ended by itself: %s", round, p.said())
		}
		s.check(round)
	}
	p := s.serve()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.sell(ctx)
	p.until(t, "delivery", func() bool {
		l, err := ask(ctx, s.as("operator"), bulkheadv1connect.ControlPlaneClient.GetLease, &v1.LeaseRef{Lease: "first/t1"})
		return err == nil && l.Delivered == 2 && l.ObservedUp == 2
	})
	if err := p.interrupt(t); err != nil {
		t.Errorf("the last server ended: %v: %s", err, p.said())
	}
	s.check(kills)
	s.checkStory()
	t.Logf("%d commands answered, %d of them as done before; %d entries", s.answered, s.repeated, s.head)
}

// seller sells the first lease, and remembers what it was told.
type seller struct {
	page               string // digest of what is signed
	t                  *testing.T
	d                  datadir.Dir
	socket, address    string
	contract           []byte
	head               uint64            // the highest entry that was told or read
	entry              map[string]uint64 // by command
	answered, repeated int
}

func (s *seller) serve() *process {
	p := launch(s.t, nil, "serve", "--data", string(s.d), "--simulated", "--devices", "unix:"+s.socket, "--listen", "127.0.0.1:0")
	s.address = p.address(s.t)
	tokens, unlock, err := changeTokens(s.d)
	if err != nil {
		s.t.Fatal(err)
	}
	defer unlock()
	path := filepath.Join(string(s.d), "administrator.token")
	if _, err := os.Stat(path); err == nil {
		return p
	}
	if _, err := tokenFile(tokens, path, "acme's buyer", api.Administrator, "acme", time.Hour); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *seller) as(role string) *client {
	return &client{Server: s.address, TokenFile: filepath.Join(string(s.d), role+".token")}
}

// sell gives all commands, whether or not they were given before: a person who
// got no answer gives them again, with the same ids.
func (s *seller) sell(ctx context.Context) {
	site, err := os.ReadFile(filepath.Join("..", "..", "examples", "tiny", "site.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, step := range []struct {
		id string
		do func() (*v1.Done, error)
	}{
		{"register", func() (*v1.Done, error) {
			return ask(ctx, s.as("operator"), bulkheadv1connect.ControlPlaneClient.RegisterTenant, &v1.RegisterTenantRequest{CommandId: "register", Tenant: "acme", Name: "Acme"})
		}},
		{"import", func() (*v1.Done, error) {
			return ask(ctx, s.as("operator"), bulkheadv1connect.ControlPlaneClient.ImportSite, &v1.SiteTemplate{CommandId: "import", File: "site.yaml", Template: site})
		}},
		{"sign", func() (*v1.Done, error) {
			q, err := ask(ctx, s.as("operator"), bulkheadv1connect.ControlPlaneClient.ShowQuote, &v1.QuoteRef{Quote: "first-v1"})
			if err != nil {
				q, err = ask(ctx, s.as("operator"), bulkheadv1connect.ControlPlaneClient.OfferQuote, &v1.OfferQuoteRequest{Quote: "first-v1", File: "first.yaml", Contract: s.contract})
			}
			if err == nil {
				s.page = q.PageDigest // after it was signed, the one that was sent
			}
			return ask(ctx, s.as("administrator"), bulkheadv1connect.ControlPlaneClient.SignLease, &v1.SignLeaseRequest{CommandId: "sign", Quote: "first-v1", Digest: s.page})
		}},
		{"cordon", func() (*v1.Done, error) {
			return ask(ctx, s.as("operator"), bulkheadv1connect.ControlPlaneClient.CordonNode, &v1.CordonNodeRequest{CommandId: "cordon", Node: "d1-su01-n01", Reason: "drill"})
		}},
	} {
		done, err := step.do()
		if err != nil {
			s.t.Logf("%s: %v", step.id, explain(err))
			return // killed, or out of time
		}
		s.answered++
		if s.entry == nil {
			s.entry = map[string]uint64{}
		}
		if _, before := s.entry[step.id]; before && !done.Repeated {
			s.t.Errorf("%s was answered before, and again as if it were new: %v", step.id, done)
		}
		if done.Repeated {
			s.repeated++
		}
		s.entry[step.id] = done.Entry
		s.head = max(s.head, done.Entry)
	}
}

// check reads what a dead server left.
func (s *seller) check(round int) {
	s.t.Helper()
	v, err := s.d.Verify(s.t.Context(), keystore.Master{})
	if err != nil {
		s.t.Fatalf("round %d: %v", round, err)
	}
	if v.Entries < s.head {
		s.t.Fatalf("round %d: the ledger ends at entry %d, entry %d was there before", round, v.Entries, s.head)
	}
	s.head = v.Entries
}

// checkStory folds the ledger and looks for anything that happened twice.
func (s *seller) checkStory() {
	t := s.t
	log, err := sqlite.OpenReader(s.d.Ledger())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	state, bodies := book.New(), run.BodiesOf(log)
	kinds, moves, handed := map[string]int{}, map[string]uint32{}, map[string]int{}
	commands := map[string]string{} // id: the kind of its first entry
	last := ""
	for e, err := range log.Read(t.Context(), 1) {
		if err == nil {
			err = book.Apply(state, &e, bodies)
		}
		if err == nil {
			err = book.CheckInvariants(state)
		}
		if err != nil {
			t.Fatalf("entry %d: %v", e.Seq, err)
		}
		if first, known := commands[e.Command]; known && e.Command != "" && e.Command != last {
			t.Errorf("entry %d (%s): command %s was carried out before (%s)", e.Seq, e.Kind, e.Command, first)
		} else if !known {
			commands[e.Command] = e.Kind
		}
		if e.Command != "" {
			last = e.Command // a tenant's entry may come of it and not name it
		}
		if e.Scope == book.SiteScope || e.Kind == contract.KindSigned {
			kinds[e.Kind]++
		}
		switch e.Kind {
		case node.KindMoved:
			var m node.Moved
			decode(t, &e, &m)
			for _, n := range m.Nodes {
				at := e.Scope + " " + n.Node // a tenant has its own copy of what it may see
				if n.Seq <= moves[at] {
					t.Errorf("entry %d: move %d of %s follows move %d", e.Seq, n.Seq, at, moves[at])
				}
				moves[at] = n.Seq
			}
		case lease.KindDelivered:
			var b lease.Delivered
			decode(t, &e, &b)
			for _, n := range b.Nodes {
				handed[n.Node]++
			}
		}
	}
	for _, id := range []string{"register", "import", "sign", "cordon"} {
		found := false
		for command := range commands {
			found = found || strings.Contains(command, "/"+id+"#")
		}
		if !found {
			t.Errorf("no entry is of command %s: %v", id, commands)
		}
	}
	if kinds[contract.KindSigned] != 1 || kinds["tenant.registered/1"] != 1 || kinds["site.imported/1"] != 1 || len(handed) != 2 {
		t.Errorf("handed over %v; entries %v", handed, kinds)
	}
	for name, times := range handed {
		if times != 1 {
			t.Errorf("%s was handed over %d times", name, times)
		}
	}
	if kinds["writer.began/1"] != kills+1 {
		t.Errorf("%d writers began, %d were started", kinds["writer.began/1"], kills+1)
	}
}

func decode(t *testing.T, e *ledger.Entry, into any) {
	t.Helper()
	if err := json.Unmarshal(e.Body, into); err != nil {
		t.Fatalf("entry %d: %v", e.Seq, err)
	}
}
