package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
	"bulkhead/contract"
)

// The site of the curious tenant: 12 SUs of 32 H200 nodes on one fabric, of which 31
// each are for sale.
const (
	curiousSU   = 31
	curiousSale = 12 * curiousSU
	// rivalSteps bounds the secret: the rival holds 1 to rivalSteps*curiousSU nodes.
	rivalSteps   = 8
	curiousCalls = 1000
)

// curiousWorld is a server over that site, with a rival of some size on it. extra is
// lines of the site's policy.
func curiousWorld(t *testing.T, rival int, extra string) *world {
	t.Helper()
	ctx := context.Background()
	w := bareWorld(t)
	text := read(t, "tiny/site.yaml")
	for _, r := range [][2]string{
		{"su-nodes: 8", "su-nodes: 32"}, {"leaf-ports: 32", "leaf-ports: 128"},
		{"nodes: 16, sus: 2", "nodes: 64, sus: 2"}, {"nodes: 8, sus: 1", "nodes: 32, sus: 1"},
		{"\ntotals: {gpus: 512, nodes: 64, sus: 8, pods: 5, halls: 4}", "  - id: hall-e\n    phase: p1\n    pods:\n      - {id: e1, fabric: roce, kind: H200, nodes: 256, sus: 8}\n\ntotals: {gpus: 4096, nodes: 512, sus: 16, pods: 6, halls: 5}"},
		{"spares-per-su: 1", "spares-per-su: 1\n  tenant-quotes: 1000\n  tenant-quote-share: 100\n  tenant-asks: 1000000\n" + extra},
	} {
		if !bytes.Contains(text, []byte(r[0])) {
			t.Fatalf("the example has no %q any more", r[0])
		}
		text = bytes.ReplaceAll(text, []byte(r[0]), []byte(r[1]))
	}
	operator := w.client("operator")
	done(t)(operator.ImportSite(ctx, connect.NewRequest(&bulkheadv1.SiteTemplate{File: "curious", Template: text})))
	for _, tenant := range []string{"flagship", "tidewater"} {
		done(t)(operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{Tenant: tenant, Name: tenant})))
	}
	// The rival has two leases, of which the second does not begin at once.
	for i, nodes := range []int{rival - rival/3, rival / 3} {
		if nodes == 0 {
			continue
		}
		id := fmt.Sprintf("flagship-r%d", i)
		c, err := contract.Parse(id, asked(id, "flagship", fmt.Sprintf("kind: H200, fabric: roce, gpus: %d", nodes*8), "2026-06-01", "2027-06-01"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.plane.Quote(ctx, id, c, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := w.plane.Submit(ctx, "", book.SignQuote{Quote: id, By: "x", Signed: contract.ByTenant("x")}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// asked is a contract of one tranche.
func asked(id, tenant, tranche, from, to string) []byte {
	return fmt.Appendf(nil, `id: %s
version: 1
title: %s
tenant: %s
project: p
currency: USD
time_zone: UTC
begin: %s
end: %s
notice_days: 30
tranches:
  - {id: t, %s, delivery: %s}
rates:
  - {tranches: [t], from: %s, to: %s, basis: gpu-hour, price: 2.5}
unknown: {grace: 15m, then: down-owner}
`, id, id, tenant, from, to, tranche, from, from, to)
}

// curious is a tenant that asks whatever it may, as cleverly as we know how to.
type curious struct {
	t      *testing.T
	api    bulkheadv1connect.ControlPlaneClient
	calls  int
	spoken strings.Builder // all that it was answered
	asks   int
}

// heard calls one method and writes down the answer.
func heard[Q, A any](c *curious, method func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), question *Q) (*A, error) {
	c.calls++
	r, err := method(context.Background(), connect.NewRequest(question))
	asked, _ := any(question).(proto.Message)
	fmt.Fprintf(&c.spoken, "%T %v: ", question, asked != nil)
	if err != nil {
		fmt.Fprintln(&c.spoken, err)
		var failed *connect.Error
		if errors.As(err, &failed) {
			for _, d := range failed.Details() {
				fmt.Fprintf(&c.spoken, "  %x\n", d.Bytes())
			}
		}
		return nil, err
	}
	said, err := proto.MarshalOptions{Deterministic: true}.Marshal(any(r.Msg).(proto.Message))
	if err != nil {
		c.t.Fatal(err)
	}
	fmt.Fprintf(&c.spoken, "%q %s\n", said, r.Header().Get(EntryHeader))
	return r.Msg, nil
}

// ask asks for a tranche, and says whether it could be had. Unless it is kept, it is
// given back; now and then it is looked at before in every way.
func (c *curious) ask(id, tranche, from, to string, keep bool) bool {
	_, err := heard(c, c.api.OfferQuote, &bulkheadv1.OfferQuoteRequest{Quote: id, File: "c", Contract: asked("tidewater-"+id, "tidewater", tranche, from, to)})
	if err != nil || keep {
		return err == nil
	}
	if c.asks++; c.asks%8 == 0 {
		_, _ = heard(c, c.api.ShowQuote, &bulkheadv1.QuoteRef{Quote: id})
		c.look()
	}
	c.withdraw(id)
	return true
}

func (c *curious) withdraw(id string) {
	if _, err := heard(c, c.api.WithdrawQuote, &bulkheadv1.WithdrawQuoteRequest{Quote: id}); err != nil {
		c.t.Fatal(err)
	}
}

// look reads all that a tenant can read without asking for anything.
func (c *curious) look() {
	_, _ = heard(c, c.api.ListQuotes, &bulkheadv1.Page{})
	_, _ = heard(c, c.api.ListLeases, &bulkheadv1.Page{})
	_, _ = heard(c, c.api.ListNodes, &bulkheadv1.ListNodesRequest{})
	_, _ = heard(c, c.api.ListTenants, &bulkheadv1.Page{})
	_, _ = heard(c, c.api.ListInvoices, &bulkheadv1.Page{})
	_, _ = heard(c, c.api.GetNode, &bulkheadv1.NodeRef{Node: "e1-su1-n01"})
	c.calls++
	stream, err := c.api.TailLedger(context.Background(), connect.NewRequest(&bulkheadv1.TailLedgerRequest{}))
	if err != nil {
		c.t.Fatal(err)
	}
	for stream.Receive() {
		body := drawnTokens.ReplaceAllString(string(stream.Msg().Body), "TOKEN")
		fmt.Fprintf(&c.spoken, "entry %d %s %s %s\n", stream.Msg().ScopeSeq, stream.Msg().Kind, stream.Msg().Command, body)
	}
	fmt.Fprintln(&c.spoken, stream.Err(), stream.ResponseHeader().Get(EntryHeader))
}

// drawnTokens are the tenant's own tokens, which this world makes in no order.
var drawnTokens = regexp.MustCompile(`^\{"token":"[0-9a-f]+".*`)

const curiousKind = "kind: H200, fabric: roce, "

// most searches for the most nodes that can be had at a time, between what is known
// to be there and what is known not to be.
func (c *curious) most(have, not int, more, from, to string) int {
	for not-have > 1 && c.calls < curiousCalls {
		middle := (have + not) / 2
		if c.ask("s", fmt.Sprintf("%sgpus: %d%s", curiousKind, middle*8, more), from, to, false) {
			have = middle
		} else {
			not = middle
		}
	}
	return have
}

// steal spends the whole budget, and returns the most nodes that were free when the
// tenant held nothing, and the least that they were in truth, by all that was answered
// while it held known amounts itself.
func (c *curious) steal() (most, least int) {
	const from, to = "2026-07-01", "2027-05-01"
	c.look()
	most = c.most(0, curiousSale+1, "", from, to)
	least = most
	// Other times, ways and classes; hermetic links, kinds that are open, a part of it.
	c.most(0, curiousSale+1, "", "2026-05-20", "2026-06-10")
	c.most(0, curiousSale+1, "", "2026-05-20", "2026-05-25")
	c.most(0, curiousSale+1, ", split: true", from, to)
	c.most(0, curiousSale+1, ", links: hermetic", from, to)
	for _, tranche := range []string{"kind: H100, fabric: roce, gpus: 8", "kind: H100, fabric: ib, gpus: 80", "kinds: [H200, H100], fabric: roce, gpus: 248", "kinds: [H100, H200], fabric: roce, gpus: 248", "kind: H200, gpus: 8"} {
		c.ask("o", tranche, from, to, false)
	}
	// Holding amounts of its own moves where a rounded answer changes, if what is rounded
	// is what is left.
	for own := 1; own <= curiousSU && c.calls < curiousCalls-40; own++ {
		if !c.ask("own", fmt.Sprintf("%sgpus: %d", curiousKind, own*8), from, to, true) {
			break
		}
		for _, more := range []int{most - own, most - own + 1, most - own - curiousSU + 1, most - own - curiousSU + 2} {
			if more > 0 && c.ask("s", fmt.Sprintf("%sgpus: %d", curiousKind, more*8), from, to, false) {
				least = max(least, own+more)
			}
		}
		if own%4 == 0 {
			_, _ = heard(c, c.api.ShowQuote, &bulkheadv1.QuoteRef{Quote: "own"})
			c.look()
		}
		c.withdraw("own")
	}
	// Many small ones, until there is no more: which nodes, in which shape?
	for i := 0; c.calls < curiousCalls-10; i++ {
		if !c.ask(fmt.Sprintf("many%d", i), fmt.Sprintf("%sgpus: %d", curiousKind, 8*(1+i%5)), from, to, true) {
			break
		}
		if i%16 == 0 {
			_, _ = heard(c, c.api.ShowQuote, &bulkheadv1.QuoteRef{Quote: fmt.Sprintf("many%d", i)})
			c.look()
		}
	}
	for c.calls < curiousCalls {
		c.ask("end", curiousKind+"gpus: 8", "2026-08-01", fmt.Sprintf("2027-%02d-01", 1+c.calls%12), true)
	}
	return most, least
}

func newCurious(t *testing.T, rival int, policy string) *curious {
	return &curious{t: t, api: curiousWorld(t, rival, policy).client("administrator tidewater")}
}

// TestACuriousTenantLearnsStepsAlone lets a tenant spend a thousand calls on finding
// out how many nodes a rival holds, a secret that is drawn at random. With exact
// answers, as every release before gave them, it finds the number. With answers in
// steps it learns in which step the number is, and the whole of what it was answered,
// to the byte, is the same for every number of that step that is tried.
func TestACuriousTenantLearnsStepsAlone(t *testing.T) {
	const sizes = rivalSteps * curiousSU
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	secret := 1 + random.IntN(sizes)
	t.Logf("seed %d", seed)

	exact := newCurious(t, secret, "  tenant-answer-step: 0\n")
	most, _ := exact.steal()
	if found := curiousSale - most; found != secret {
		t.Errorf("the attack is too weak to judge by: with exact answers it finds %d nodes, the rival holds %d", found, secret)
	}
	t.Logf("exact answers, %d calls: the rival's size is found, %.2f of %.2f bits", exact.calls, math.Log2(sizes), math.Log2(sizes))

	c := newCurious(t, secret, "")
	most, least := c.steal()
	last := curiousSale - most // the most that the rival can hold
	first := last - curiousSU + 1
	learned := math.Log2(sizes) - math.Log2(float64(last-first+1))
	t.Logf("answers in steps of %d nodes, %d calls: the rival holds %d to %d nodes, %.2f of %.2f bits", curiousSU, c.calls, first, last, learned, math.Log2(sizes))
	if bound := math.Log2(rivalSteps); learned > bound+1e-9 || secret < first || secret > last || least != most {
		t.Errorf("the policy promises that no more than %.2f bits are learned; with own quotes in between %d nodes were had, %d without", bound, least, most)
	}
	if c.calls < curiousCalls {
		t.Errorf("only %d calls of %d were spent", c.calls, curiousCalls)
	}
	same := []int{first, last, first + random.IntN(curiousSU)}
	if testing.Short() {
		same = same[:2]
	}
	for _, other := range same {
		if other == secret {
			continue
		}
		again := newCurious(t, other, "")
		again.steal()
		if at, one, two := firstDifference(c.spoken.String(), again.spoken.String()); at >= 0 {
			t.Errorf("a rival of %d nodes and one of %d are told apart by answer %d:\n%.400s\n%.400s", secret, other, at, one, two)
		}
	}
}

// firstDifference is the first line that differs, from -1 on where none does.
func firstDifference(a, b string) (at int, one, two string) {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(left), len(right)) {
		if i >= len(left) || i >= len(right) || left[i] != right[i] {
			return i, strings.Join(left[min(i, len(left)-1):min(i+1, len(left))], ""), strings.Join(right[min(i, len(right)-1):min(i+1, len(right))], "")
		}
	}
	return -1, "", ""
}
