package bundle_test

import (
	"errors"
	"strings"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
)

// TestThePageThatWasReadIsThatOfTheQuote signs over the page of what was offered, over
// another one, and over what was withdrawn before.
func TestThePageThatWasReadIsThatOfTheQuote(t *testing.T) {
	var page claim.Digest
	tell := func(change func(q *contract.Quoted, s *contract.Signed)) []byte {
		s := tellMay(nil)
		var offered contract.Quoted
		bundletest.Change(s.Log, contract.KindQuoted, func(_ int, q *contract.Quoted) {
			is := *q
			var err error
			if is.Contract, err = canonical(q.Contract); err != nil {
				t.Fatal(err)
			}
			if page, err = contract.PageDigest(&is); err != nil {
				t.Fatal(err)
			}
			offered = *q
			change(q, &contract.Signed{})
		})
		bundletest.Change(s.Log, contract.KindSigned, func(_ int, b *contract.Signed) {
			b.Page = page
			change(&offered, b)
		})
		return write(t, s.Input())
	}
	for name, c := range map[string]struct {
		change func(q *contract.Quoted, s *contract.Signed)
		says   string // "": it is proven
	}{
		"as it was":     {func(*contract.Quoted, *contract.Signed) {}, ""},
		"another page":  {func(_ *contract.Quoted, s *contract.Signed) { s.Page = claim.DigestOf([]byte("the small print")) }, "the page that was read has digest"},
		"another place": {func(q *contract.Quoted, _ *contract.Signed) { q.Parts[0].Where = "9 halls" }, "the page that was read has digest"},
		"for longer":    {func(q *contract.Quoted, _ *contract.Signed) { q.Expires = q.Expires.AddDate(1, 0, 0) }, "the page that was read has digest"},
		"another offering": {func(q *contract.Quoted, _ *contract.Signed) {
			q.Offered = contract.Signature{Party: contract.Owner, By: "x"}
		}, "the page that was read has digest"},
	} {
		report, err := verify(tell(c.change), owner.Policy(bundletest.Tenant), bundle.Options{})
		if c.says == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.says != "" && (!errors.Is(err, bundle.ErrRejected) || !strings.Contains(strings.Join(findings(report, bundle.CheckContract), "\n"), c.says)) {
			t.Errorf("%s: %v, %v", name, err, findings(report, bundle.CheckContract))
		}
	}
}

// canonical is a contract as it was signed, of an entry that another encoder wrote.
func canonical(raw []byte) ([]byte, error) {
	c, err := contract.Decode([]byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(raw))))
	if err != nil {
		return nil, err
	}
	return c.Encode(), nil
}
