package bundle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
)

// judgedWithin verifies a log, re-signed, and holds it to the budget of its size: it
// allocates no more in all than a few times what it may hold, ends in time, and no
// fault of the verifier is what ends it.
func judgedWithin(t *testing.T, s *bundletest.Story) {
	data := bundle.WriteForged(s.Input(), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	report, err := verify(data, owner.Policy(bundletest.Tenant), bundle.Options{})
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if fault := new(bundle.Fault); errors.As(err, &fault) {
		t.Fatalf("%v\n%s", fault, fault.Stack)
	}
	size := int64(len(data))
	if allocated := int64(after.TotalAlloc - before.TotalAlloc); allocated > 4*bundle.BudgetBytes(size) {
		t.Fatalf("%d MB were allocated for %d bytes", allocated>>20, size)
	}
	if most := slow * stepTime * time.Duration(64<<20+8*size); took > most {
		t.Fatalf("%s for %d bytes, at most %s", took, size, most)
	}
	if report == nil {
		return
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || !claim.Plain(text.String()) {
		t.Fatalf("the report: %v, %q", err, text.String())
	}
}

var wholeLog = sync.OnceValue(func() *bundletest.Story { return bundletest.Whole(owner) })

// clone is a log that may be changed.
func clone(s *bundletest.Story) *bundletest.Story {
	c := *s
	c.Log = s.Log.Clone()
	return &c
}

// FuzzEntry puts any body of any kind behind a whole log, and in the place of each entry
// of that kind.
func FuzzEntry(f *testing.F) {
	for _, e := range wholeLog().Entries {
		f.Add(e.Kind, e.Body, false)
	}
	f.Add(lease.KindBound, []byte(`{"lease":"x","nodes":"0-1048575","slots":1048576}`), false)
	f.Add(lease.KindSlots, []byte(`{"lease":"acme-1/t1","tranche":"t1","slots":"0-1048575"}`), true)
	f.Add(node.KindMoved, []byte(`{"nodes":[{"index":4294967295}]}`), true)
	f.Fuzz(func(t *testing.T, kind string, body []byte, replace bool) {
		if len(body) > 200<<10 || len(kind) > 200 || !json.Valid(body) {
			return
		}
		s := clone(wholeLog())
		for i := range s.Entries {
			if replace && s.Entries[i].Kind == kind {
				s.Entries[i].Body = body
			}
		}
		more := entry(s, kind, nil)
		more.Body = body
		s.Entries = append(s.Entries, more)
		s.Reseal()
		judgedWithin(t, s)
	})
}

// FuzzStatement signs any predicate in the place of each kind of statement.
func FuzzStatement(f *testing.F) {
	types := []string{node.TurnoverPredicate, prove.PredicateType, prove.ProbePredicate, bundle.InvoiceType}
	for _, body := range wholeLog().Bodies {
		if predicate, err := claim.Peek(body); err == nil {
			for i := range types {
				f.Add(uint8(i), predicate)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, predicate []byte) {
		if !json.Valid(predicate) || len(predicate) > 1<<20 {
			return
		}
		s := clone(wholeLog())
		signers := []claim.Signer{s.Owner.Statement, s.Owner.Statement, s.Owner.Probe, s.Owner.Invoice}
		at := int(kind) % len(types)
		d := s.Sign(signers[at], "x", claim.DigestOf(nil), types[at], json.RawMessage(predicate))
		switch at {
		case 0:
			bundletest.Change(s.Log, lease.KindDelivered, func(_ int, b *lease.Delivered) { b.Nodes[0].Statement = d })
		case 1:
			bundletest.Change(s.Log, prove.KindVerdict, func(_ int, b *prove.Judged) { b.Certificate = d })
		case 2:
			bundletest.Change(s.Log, prove.KindProbed, func(_ int, b *prove.Probed) { b.Statement = d })
		case 3:
			bundletest.Change(s.Log, meter.KindInvoiced, func(_ int, b *meter.Invoiced) { b.Statement = d })
		}
		judgedWithin(t, s)
	})
}

// FuzzBytes gives the verifier bytes that nobody signed.
func FuzzBytes(f *testing.F) {
	small := bundle.WriteForged(bundletest.Small(owner).Input(), nil)
	f.Add(small)
	f.Add(small[:100])
	f.Add(slices.Concat(small[:200], small[len(small)-400:]))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := verify(data, owner.Policy(bundletest.Tenant), bundle.Options{})
		if fault := new(bundle.Fault); errors.As(err, &fault) {
			t.Fatalf("%v\n%s", fault, fault.Stack)
		}
		for rest := data; len(rest) > 0; {
			record, more, err := bundle.CutRecord(rest)
			if err != nil {
				break
			}
			_, _, _ = bundle.RestoreBody(record)
			rest = more
		}
	})
}

// FuzzPolicyBudget gives any text for a policy and for what an owner publishes.
func FuzzPolicyBudget(f *testing.F) {
	text, err := owner.Policy(bundletest.Tenant).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"))
	f.Add([]byte("{\"keys\": [[[[[[[[\n"))
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9), i)
	}
	f.Add([]byte(laughs))
	f.Add([]byte("policy: bulkhead-policy/1\n" + laughs + "keys: *a12\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = bundle.ParsePolicy("x", data)
		_, _ = bundle.PolicyFromTrust("x", data, "acme")
		runtime.ReadMemStats(&after)
		if allocated := int64(after.TotalAlloc - before.TotalAlloc); allocated > bundle.BudgetBytes(int64(len(data)))*4 {
			t.Fatalf("%d MB for %d bytes", allocated>>20, len(data))
		}
	})
}
