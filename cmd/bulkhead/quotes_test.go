package main

import (
	"strings"
	"testing"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/claim"
)

// TestAPageIsOfItsDigest has a server show one page and have another signed.
func TestAPageIsOfItsDigest(t *testing.T) {
	cheap, dear := "total 1.00\n", "total 1000000000.00\n"
	if err := isItsPage(&v1.Quote{Page: cheap, PageDigest: claim.DigestOf([]byte(cheap)).String()}); err != nil {
		t.Error(err)
	}
	if err := isItsPage(&v1.Quote{Page: cheap, PageDigest: claim.DigestOf([]byte(dear)).String()}); err == nil || !strings.Contains(err.Error(), "sign nothing") {
		t.Errorf("one page is shown and another is signed: %v", err)
	}
}
