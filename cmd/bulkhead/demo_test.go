package main

import (
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/lab/story"
	"bulkhead/meter"
	"bulkhead/place"
	"bulkhead/run/datadir"
)

// TestDemo runs the demonstration as a person does, and computes what it says of
// itself again from the ledger that it leaves: every figure of summary.json that
// was not measured, and the total of every invoice from the lines that it prints.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("needs some seconds: run without -short")
	}
	t.Parallel()
	bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "demo")
	// The verifier is a program of its own, beside the other.
	build := exec.Command("go", "build", "-o", bin, "bulkhead/cmd/bulkhead", "bulkhead/cmd/bulkhead-verify")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	screen, err := exec.Command(filepath.Join(bin, "bulkhead"), "demo", "--size", "tiny", "--out", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, screen)
	}
	if strings.Contains(string(screen), "\x1b") || strings.Contains(string(screen), "\r") {
		t.Error("progress is not plain lines, though this is no terminal")
	}
	for _, want := range []string{"NOT PROVEN", "SOLD AND DELIVERED", "WHAT FAILED, AND HOW IT WAS CAUGHT", "WHAT IT COST", "WHAT THE TENANTS VERIFIED"} {
		if !strings.Contains(string(screen), want) {
			t.Errorf("the last screen says nothing of %s", want)
		}
	}
	var said story.Summary
	data, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &said); err != nil {
		t.Fatal(err)
	}
	again := resummarised(t, datadir.Dir(dir))
	if len(said.Verified) != 3 || len(said.NotProven) == 0 || said.Measured.Seconds["total"] <= 0 {
		t.Errorf("verified %+v, not proven %q, measured %+v", said.Verified, said.NotProven, said.Measured)
	}
	for _, v := range said.Verified {
		if info, err := os.Stat(filepath.Join(dir, "bundles", v.Tenant+".bundle")); err != nil || info.Size() != v.Bytes || v.Exit != 0 || v.Entries != again.Ledger.Scopes[book.TenantScope(v.Tenant)] {
			t.Errorf("verified: %+v, the bundle is %v, the scope has %d entries (%v)", v, info, again.Ledger.Scopes[book.TenantScope(v.Tenant)], err)
		}
	}
	// What was measured, or said by the verifier, does not follow from the ledger.
	said.Verified, said.NotProven, said.Measured = nil, nil, story.Measured{}
	encoded, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	var folded story.Summary
	if err := json.Unmarshal(encoded, &folded); err != nil {
		t.Fatal(err)
	}
	folded.Verified, folded.NotProven, folded.Measured = nil, nil, story.Measured{}
	if !reflect.DeepEqual(said, folded) {
		t.Errorf("summary.json says\n%+v\nand the ledger beside it\n%+v", said, folded)
	}
	if len(said.Invoices) != 8 {
		t.Fatalf("%d invoices", len(said.Invoices))
	}
	for _, i := range said.Invoices {
		checkPrinted(t, dir, i)
	}
}

// resummarised folds a ledger and summarises it anew.
func resummarised(t *testing.T, d datadir.Dir) story.Summary {
	t.Helper()
	log, err := d.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	state, err := datadir.Fold(t.Context(), log, datadir.Everything)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := story.Summarise(state, func(l *book.Lease) (place.Certificate, error) {
		whole, ok := state.Placements[l.Certificate]
		if !ok {
			return place.Certificate{}, errors.New("no placement certificate")
		}
		body, err := log.Body(t.Context(), whole)
		if err != nil {
			return place.Certificate{}, err
		}
		return place.DecodeCertificate(body)
	})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range log.Read(t.Context(), 1) {
		if err == nil {
			err = summary.Life.Count(&e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return summary
}

// checkPrinted adds up the lines that an invoice's page prints, and compares them
// with its JSON and with the summary.
func checkPrinted(t *testing.T, dir string, i story.InvoiceSummary) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "invoices", i.Number+".json"))
	if err != nil {
		t.Fatal(err)
	}
	invoice, err := meter.DecodeInvoice(data)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "invoices", i.Number+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	sum := new(big.Rat)
	for _, line := range invoice.Lines {
		printed := false
		for text := range strings.Lines(string(page)) {
			fields := strings.Fields(text)
			if len(fields) != 2 || fields[0] != line.ID {
				continue
			}
			amount, ok := new(big.Rat).SetString(strings.ReplaceAll(fields[1], ",", ""))
			if !ok || printed {
				t.Fatalf("%s: line %q", i.Number, text)
			}
			sum.Add(sum, amount)
			printed = true
		}
		if !printed {
			t.Errorf("%s: the page does not show line %s", i.Number, line.ID)
		}
	}
	if sum.FloatString(2) != i.Total || invoice.Total != i.Total {
		t.Errorf("%s: the printed lines come to %s, the invoice to %s, the summary says %s", i.Number, sum.FloatString(2), invoice.Total, i.Total)
	}
}
