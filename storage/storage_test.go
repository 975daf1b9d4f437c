package storage

import (
	"testing"
	"time"

	"bulkhead/claim"
)

func TestReceiptsThatDoNotShowIt(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	revoked := RevokeReceipt{Volume: "v", Principal: "p", Revoked: now, Probe: Denied, Origin: claim.Simulated}
	if err := revoked.CheckRevoked("v", "p"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(r *RevokeReceipt){
		"volume": func(r *RevokeReceipt) { r.Volume = "w" }, "principal": func(r *RevokeReceipt) { r.Principal = "q" }, "time": func(r *RevokeReceipt) { r.Revoked = time.Time{} },
		"probe": func(r *RevokeReceipt) { r.Probe = "" }, "origin": func(r *RevokeReceipt) { r.Origin = "" },
	} {
		bad := revoked
		change(&bad)
		if bad.CheckRevoked("v", "p") == nil {
			t.Errorf("revoked, %s: passed", name)
		}
	}
	erased := ErasureReceipt{Volume: "v", Tenant: "t", Destroyed: now, Method: EraseKey, KeyDestroyed: true, Reopen: Denied, Origin: claim.Simulated}
	if err := erased.Check("v"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(r *ErasureReceipt){
		"volume": func(r *ErasureReceipt) { r.Volume = "w" }, "time": func(r *ErasureReceipt) { r.Destroyed = time.Time{} },
		"objects": func(r *ErasureReceipt) { r.ObjectsLeft = 1 }, "reopen": func(r *ErasureReceipt) { r.Reopen = "opened" },
		"method": func(r *ErasureReceipt) { r.Method = "prayer" }, "key": func(r *ErasureReceipt) { r.KeyDestroyed = false }, "origin": func(r *ErasureReceipt) { r.Origin = "" },
	} {
		bad := erased
		change(&bad)
		if bad.Check("v") == nil {
			t.Errorf("erased, %s: passed", name)
		}
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{"vol": true, "a-b.c/d1": true, "": false, "-a": false, "a-": false, "A": false, "a..b": false, "/a": false, "a//b": false, "a b": false} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
