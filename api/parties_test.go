package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/place"
)

// TestBothPartiesAgree offers as one party and signs as each: one alone can't put
// a contract in force, and who agreed is shown.
func TestBothPartiesAgree(t *testing.T) {
	for _, c := range []struct {
		offers, signs string
		field         string // that is refused; "": it is in force
		signed        []string
	}{
		{"finance", "administrator flagship", "", []string{"owner: finance, finance", "tenant: administrator flagship, administrator"}},
		{"operator", "administrator flagship", "", []string{"owner: operator, operator", "tenant: administrator flagship, administrator"}},
		{"administrator flagship", "finance", "", []string{"owner: finance, finance", "tenant: administrator flagship, administrator"}},
		{"administrator flagship", "administrator flagship", "quote", nil},
		{"finance", "finance", "quote", nil},
		{"operator", "finance", "quote", nil},
	} {
		w := newWorld(t)
		ctx := context.Background()
		q, err := w.quote(t, c.offers, "q", 0, oneNode(t, "more", "flagship"))
		if err != nil {
			t.Fatal(err)
		}
		if want := c.offers; q.OfferedBy != want+", "+strings.Fields(want)[0] {
			t.Errorf("%s offers, shown is %q for %q", want, q.OfferedBy, q.OfferedFor)
		}
		_, err = w.client(c.signs).SignLease(ctx, w.read(t, c.signs, &bulkheadv1.SignLeaseRequest{CommandId: "s", Quote: "q"}))
		if fieldOf(t, err) != c.field || (err == nil) != (c.field == "") {
			t.Errorf("%s offers, %s signs: %v", c.offers, c.signs, err)
		}
		l, err := w.client("viewer flagship").GetLease(ctx, connect.NewRequest(&bulkheadv1.LeaseRef{Lease: "flagship-more/w1"}))
		if (err == nil) != (c.field == "") {
			t.Errorf("%s offers, %s signs: in force is %v, %v", c.offers, c.signs, l, err)
		}
		if err == nil && !slices.Equal(l.Msg.Signed, c.signed) {
			t.Errorf("%s offers, %s signs: shown is %q", c.offers, c.signs, l.Msg.Signed)
		}
	}
}

// TestARefusalTellsNothingOfOthers asks for more than is free, as a tenant and as
// the owner: only the owner is shown what is.
func TestARefusalTellsNothingOfOthers(t *testing.T) {
	w := newWorld(t)
	big := bytes.Replace(oneNode(t, "big", "tidewater"), []byte("gpus: 8"), []byte("gpus: 4096"), 1)
	_, told := w.quote(t, "administrator tidewater", "big", 0, big)
	_, figures := w.quote(t, "finance", "big", 0, big)
	if told == nil || fieldOf(t, told) != "tranche w1" || !strings.Contains(told.Error(), "would hold 4096 GPUs of H100 in fabric ib, and a tenant's may hold 24 at most") {
		t.Errorf("the tenant: %v", told)
	}
	if figures == nil || !strings.Contains(figures.Error(), "can be promised") {
		t.Errorf("finance: %v", figures)
	}
	// The same for every quantity that is too much, whatever is left.
	for _, gpus := range []string{"4088", "2048"} {
		_, err := w.quote(t, "administrator tidewater", "big", 0, bytes.Replace(big, []byte("gpus: 4096"), []byte("gpus: "+gpus), 1))
		if err == nil || strings.Replace(err.Error(), gpus, "4096", 1) != told.Error() {
			t.Errorf("%s GPUs: %v", gpus, err)
		}
	}
	// What the search and the book's check of it say names nodes and counts.
	c, err := contract.Parse("big", big)
	if err != nil {
		t.Fatal(err)
	}
	uniform := explain(book.Unavailable(&c.Tranches[0], 0))
	for _, trouble := range []error{
		fmt.Errorf("moves: rival/t1: %w", place.ErrOccupancy), &book.Refusal{Field: "moves", Reason: "rival/t1 runs or is about to"},
		&place.NoFitError{Have: 7, Elsewhere: []place.Stock{{Free: 9}}}, fmt.Errorf("placement: node b1-su0-n3 is not free: %w", place.ErrOccupancy), errors.New("placement: free 7, expected 9"),
	} {
		if !strings.HasPrefix(trouble.Error(), "moves: ") {
			trouble = fmt.Errorf("tranche w1: %w", trouble)
		}
		if err := explain(withoutFigures(w.as(t, "administrator tidewater"), c, trouble)); err.Error() != uniform.Error() {
			t.Errorf("%v became %v", trouble, err)
		}
		if err := withoutFigures(w.as(t, "operator"), c, trouble); err != trouble {
			t.Errorf("an operator is told %v, not %v", err, trouble)
		}
	}
}

// TestContractIDsOfOthers asks for an id that a rival has and for one that nobody
// has: the refusals are the same.
func TestContractIDsOfOthers(t *testing.T) {
	w := newWorld(t)
	as := func(id string) error {
		contract := bytes.Replace(oneNode(t, "x", "tidewater"), []byte("id: tidewater-x\n"), []byte("id: "+id+"\n"), 1)
		_, err := w.quote(t, "administrator tidewater", "q-"+id, 0, contract)
		return err
	}
	if _, err := w.quote(t, "administrator flagship", "held", 0, oneNode(t, "open", "flagship")); err != nil {
		t.Fatal(err)
	}
	want := as("nobody")
	if fieldOf(t, want) != "contract.id" {
		t.Fatalf("an id outside its names: %v", want)
	}
	for _, taken := range []string{"flagship", "flagship-open"} {
		if err := as(taken); err == nil || strings.Replace(err.Error(), taken, "nobody", 1) != want.Error() {
			t.Errorf("%s: %v; an id that nobody has: %v", taken, err, want)
		}
	}
	if err := as("tidewater-second"); err != nil {
		t.Errorf("an id of its own: %v", err)
	}
}
