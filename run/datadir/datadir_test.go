package datadir

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
)

// newFolder makes a folder whose server has ended, with so many tenants in its ledger.
func newFolder(t *testing.T, tenants ...string) Dir {
	t.Helper()
	d, at := Dir(t.TempDir()), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	log, err := sqlite.Open(d.Ledger())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	keys, err := keystore.Open(d.Keys(), at)
	if err != nil {
		t.Fatal(err)
	}
	plane, err := run.Open(t.Context(), run.Config{Log: log, Signers: keys, Published: d.Published(keys), Clock: run.NewVirtualClock(at), Writer: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		if _, err := plane.Submit(t.Context(), "", book.RegisterTenant{Tenant: tenant, Name: tenant}); err != nil {
			t.Fatal(err)
		}
	}
	if err := plane.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestACopyHoldsWhatItWasMadeOf copies a folder and restores the copy: both have the same
// root, and neither is ever written over what is there.
func TestACopyHoldsWhatItWasMadeOf(t *testing.T) {
	d := newFolder(t, "one", "two")
	want, err := d.Verify(t.Context(), keystore.Master{})
	if err != nil || want.Entries == 0 || want.Published != want.Entries {
		t.Fatalf("%+v, %v", want, err)
	}
	copied, restored := Dir(filepath.Join(t.TempDir(), "copy")), Dir(filepath.Join(t.TempDir(), "again"))
	if got, err := d.Backup(t.Context(), copied, keystore.Master{}, false); err != nil || got.Root != want.Root {
		t.Fatalf("the copy: %+v, %v", got, err)
	}
	master := keystore.Master{Place: keystore.InFile, From: keystore.MasterFile(d.Keys())}
	if _, err := copied.Verify(t.Context(), keystore.Master{}); err == nil {
		t.Error("the copy holds the master key, and nobody asked for it")
	}
	if got, err := restored.Restore(t.Context(), copied, master); err != nil || got.Root != want.Root {
		t.Fatalf("restored: %+v, %v", got, err)
	}
	if _, err := restored.Restore(t.Context(), copied, master); err == nil || !strings.Contains(err.Error(), "--data "+string(restored)+" is not empty") {
		t.Errorf("restored twice: %v", err)
	}
	if _, err := d.Backup(t.Context(), copied, master, false); err == nil || !strings.Contains(err.Error(), "--out "+string(copied)+" is not empty") {
		t.Errorf("backed up twice: %v", err)
	}
	if _, err := restored.Restore(t.Context(), "nowhere", master); err == nil || !strings.Contains(err.Error(), "--from nowhere: there is no ledger.db in it") {
		t.Errorf("restored from nowhere: %v", err)
	}
}

// TestACopyGoesOnUnderItsOwnName: a take-over is an entry, gives the folder a newer
// lineage, and the published checkpoint still holds.
func TestACopyGoesOnUnderItsOwnName(t *testing.T) {
	d := newFolder(t, "one")
	before, err := d.Verify(t.Context(), keystore.Master{})
	if err != nil {
		t.Fatal(err)
	}
	done, err := d.TakeOver(t.Context(), keystore.Master{}, "J. Doe", "the other one is lost")
	if err != nil {
		t.Fatal(err)
	}
	own, err := d.ReadLineage()
	if err != nil || own.Epoch != done.TakenOver.Epoch || own.ID != done.TakenOver.Lineage || own.Epoch <= done.Was.Epoch {
		t.Errorf("it writes %v after %v, recorded %+v, %v", own, done.Was, done.TakenOver, err)
	}
	if after, err := d.Verify(t.Context(), keystore.Master{}); err != nil || after.Entries != before.Entries+1 || after.Published != before.Published {
		t.Errorf("%+v after %+v: %v", after, before, err)
	}
	if _, err := d.Recover(t.Context(), keystore.Master{}, "J. Doe", "no reason"); err == nil {
		t.Error("a whole ledger was recovered")
	}
}
