package run_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
)

// officer acts for the tenant of a lease, in the tests' contracts.
func officer(id lease.ID) book.Actor {
	tenant, _, _ := strings.Cut(string(id), "/")
	return book.Actor{Subject: "officer", Role: contract.RoleAdministrator, Tenant: tenant}
}

// noticeOf is a notice that the tenant gives.
func noticeOf(tenant lease.ID) book.PerformAct {
	return book.PerformAct{Contract: string(tenant), Act: contract.ActNotice, By: officer(tenant)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
