package contract

import (
	"bytes"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/examples"
)

// offered is an example's contract as it is offered.
func offered(t *testing.T, path string) *Quoted {
	t.Helper()
	data, err := examples.Files.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(path, data)
	if err != nil {
		t.Fatal(err)
	}
	q := &Quoted{Quote: "q", Contract: c.Encode(), Expires: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Offered: Signature{Party: Owner, By: "sales, finance"}}
	for _, tranche := range c.Tranches {
		q.Parts = append(q.Parts, QuotedPart{Tranche: tranche.ID, Where: "1 halls", Certificate: claim.DigestOf([]byte(tranche.ID)), Slots: tranche.Slots(), Begin: tranche.Delivery, End: tranche.End})
	}
	return q
}

// TestThePageSaysAllThatIsSigned looks for every number, word and instant of every
// example's contract on its page.
func TestThePageSaysAllThatIsSigned(t *testing.T) {
	pages := 0
	err := fs.WalkDir(examples.Files, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, "site.yaml") {
			return err
		}
		data, err := examples.Files.ReadFile(path)
		if err != nil {
			return err
		}
		c, err := Parse(path, data)
		if err != nil || c.Open() {
			return nil // another kind of file, or what can't be signed
		}
		pages++
		q := offered(t, path)
		page, err := Page(q)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		onPage(t, path, string(page), reflect.ValueOf(c).Elem())
		for _, want := range []string{"WITHOUT TAX", claim.DigestOf(q.Contract).String(), "2026-05-01T00:00:00Z", "sales, finance, for the owner"} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s: the page does not say %q", path, want)
			}
		}
		return nil
	})
	if err != nil || pages < 5 {
		t.Errorf("%d pages, %v", pages, err)
	}
}

// onPage looks for the values of a contract on its page.
func onPage(t *testing.T, path, page string, v reflect.Value) {
	t.Helper()
	says := func(what string) {
		if !strings.Contains(page, what) {
			t.Errorf("%s: the page does not say %q", path, what)
		}
	}
	switch value := v.Interface().(type) {
	case Decimal:
		if value != "" && !strings.Contains(page, string(value)) {
			says(percent(value))
		}
		return
	case time.Time:
		if !value.IsZero() {
			says(value.UTC().Format(time.RFC3339))
		}
		return
	case claim.Digest:
		return
	case Basis:
		return // in words
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name == "When" || name == "Remedy" || name == "Acceptance" || name == "Volumes" {
				continue // in words, or of the volume's own lines
			}
			onPage(t, path, page, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			onPage(t, path, page, v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			onPage(t, path, page, v.Elem())
		}
	case reflect.String:
		for line := range strings.SplitSeq(v.String(), "\n") {
			says(line)
		}
	case reflect.Int, reflect.Int64:
		if v.Int() != 0 {
			says(fmt.Sprint(v.Int()))
		}
	}
}

// TestAnotherOfferIsAnotherPage changes what is offered, one thing at a time.
func TestAnotherOfferIsAnotherPage(t *testing.T) {
	const path = "tiny/tidewater.yaml"
	first, err := PageDigest(offered(t, path))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(q *Quoted){
		"the price": func(q *Quoted) {
			c, _ := Decode(q.Contract)
			c.Rates[0].Price += "1"
			q.Contract = c.Encode()
		},
		"its time":        func(q *Quoted) { q.Expires = q.Expires.Add(time.Second) },
		"its id":          func(q *Quoted) { q.Quote = "r" },
		"who offers":      func(q *Quoted) { q.Offered.Party = Tenant },
		"where":           func(q *Quoted) { q.Parts[0].Where = "2 halls" },
		"the certificate": func(q *Quoted) { q.Parts[0].Certificate = claim.DigestOf([]byte("x")) },
		"what is told":    func(q *Quoted) { q.PlaceWithheld = true },
	} {
		q := offered(t, path)
		change(q)
		if again, err := PageDigest(q); err != nil || again == first {
			t.Errorf("%s is another, the page is the same: %v", name, err)
		}
	}
	if again, err := PageDigest(offered(t, path)); err != nil || again != first {
		t.Errorf("the same offer has another page: %v", err)
	}
}

// TestNoTextForgesALine puts line ends and what turns writing round into texts.
func TestNoTextForgesALine(t *testing.T) {
	q := offered(t, "tiny/tidewater.yaml")
	q.Offered.By = "x\ntotal            1.00 USD with tax\u202e\x1b[2J"
	page, err := Page(q)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "total            1.00") {
			t.Errorf("a forged line: %s", line)
		}
	}
	if bytes.ContainsAny(page, "\u202e\x1b") {
		t.Error("what is not printable is printed")
	}
	c, err := Decode(q.Contract)
	if err != nil {
		t.Fatal(err)
	}
	c.Note = "one\ntotal 1.00 USD with tax"
	q.Contract = c.Encode()
	if page, err = Page(q); err != nil || bytes.Contains(page, []byte("\ntotal 1.00")) {
		t.Errorf("a note forges a line: %v", err)
	}
}

// TestThePageSaysWhatActsCost is of terms that no example has.
func TestThePageSaysWhatActsCost(t *testing.T) {
	q := offered(t, "tiny/tidewater.yaml")
	c, err := Decode(q.Contract)
	if err != nil {
		t.Fatal(err)
	}
	c.Termination = append(c.Termination, Right{When: WhenEarly, Remedy: "terminate", By: Tenant, Fee: "0.2", Clause: "9.9"})
	c.Prepaid = &Prepaid{Amount: "1200", From: c.Begin, Months: 1, EarlyEnd: EarlyEndForfeit}
	c.SLA = []SLA{{Metric: IsolationProven, Tiers: []Tier{{Below: "1", Credit: "1"}}, Ports: PortsNode, Unclear: UnclearCredited}}
	q.Contract = c.Encode()
	page, err := Page(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"at the end of any day, for 20 % of what it would have been worth until its end", "is forfeit where the tenant ends it",
		"one port that is not proven counts as its whole node", "also for what the tenant could have made as well", "days, by the ",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
}
