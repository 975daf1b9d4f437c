package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/lab/story"
	"bulkhead/lease"
	"bulkhead/run"
)

// writeHandOver writes what each tenant gets of its delivered slots.
func writeHandOver(plane *run.Plane, out string) error {
	var made []lease.HandOver
	var err error
	plane.View(func(s *book.State) {
		for _, l := range s.Leases {
			if l.Returned.IsZero() && l.Delivered > 0 {
				h, wrong := s.HandOver(l)
				made, err = append(made, h), errors.Join(err, wrong)
			}
		}
	})
	if err != nil {
		return err
	}
	for _, h := range made {
		dir := filepath.Join(out, "hand-over", filepath.FromSlash(string(h.Lease)))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name, text := range h.Files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeInvoices writes every invoice as it was signed, as JSON and as a page.
func writeInvoices(ctx context.Context, plane *run.Plane, out string) error {
	dir := filepath.Join(out, "invoices")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var issued []book.Invoice
	plane.View(func(s *book.State) { issued = append(issued, s.Invoices...) })
	for _, i := range issued {
		invoice, err := plane.Invoice(ctx, i.Statement)
		if err != nil {
			return fmt.Errorf("invoice %s: %w", i.Number, err)
		}
		if err := os.WriteFile(filepath.Join(dir, i.Number+".json"), invoice.Encode(), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, i.Number+".txt"), []byte(invoice.Text()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// verifyAll writes a bundle for every tenant and has it verified by the tenant's
// own program, in a process of its own, with a policy made from what the owner
// published and from what the tenant decided: that simulated evidence will do.
func verifyAll(ctx context.Context, plane *run.Plane, keys *keystore.Store, out string, summary *story.Summary, show *screen) error {
	trust, err := keys.Trust(summary.Site.Name)
	if err != nil {
		return err
	}
	encoded, err := trust.Encode()
	if err != nil {
		return err
	}
	trustFile := filepath.Join(out, "trust.json")
	if err := os.WriteFile(trustFile, encoded, 0o644); err != nil {
		return err
	}
	verifier, err := findVerifier()
	if err != nil {
		return err
	}
	dir := filepath.Join(out, "bundles")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var tenants []string
	plane.View(func(s *book.State) { tenants = s.TenantIDs() })
	var failed []error
	for _, tenant := range tenants {
		path := filepath.Join(dir, tenant+".bundle")
		show.line("writing the bundle of %s", tenant)
		entries, err := writeBundle(ctx, plane, tenant, path)
		if err != nil {
			return err
		}
		policy := filepath.Join(dir, tenant+".policy")
		if output, err := exec.CommandContext(ctx, verifier, "policy", "init", "--trust", trustFile, "--tenant", tenant, "--accept", "simulated", "--tenant-key", officerFile(out, tenant)+".pub", "--out", policy).CombinedOutput(); err != nil {
			return fmt.Errorf("policy of %s: %w: %s", tenant, err, output)
		}
		show.line("%s verifies it, offline", tenant)
		began := time.Now()
		result := story.VerifySummary{Tenant: tenant, Entries: entries}
		if info, err := os.Stat(path); err == nil {
			result.Bytes = info.Size()
		}
		command := exec.CommandContext(ctx, verifier, "--policy", policy, "-o", "json", path)
		var report, trouble bytes.Buffer
		command.Stdout, command.Stderr = &report, &trouble
		err = command.Run()
		result.Seconds = time.Since(began).Seconds()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			result.Exit = exit.ExitCode()
			failed = append(failed, fmt.Errorf("%s's verifier rejected its bundle: %s", tenant, strings.TrimSpace(trouble.String())))
		case err != nil:
			return fmt.Errorf("%s: %w", verifier, err)
		}
		if err := os.WriteFile(filepath.Join(dir, tenant+".report.json"), report.Bytes(), 0o644); err != nil {
			return err
		}
		if err := notProven(report.Bytes(), tenant, summary); err != nil && result.Exit == 0 {
			return err
		}
		summary.Verified = append(summary.Verified, result)
	}
	return errors.Join(failed...)
}

// notProven takes over what the flagship's verifier says that is not proven.
func notProven(report []byte, tenant string, summary *story.Summary) error {
	var r struct {
		NotProven []string `json:"not_proven"`
	}
	// Lenient JSON: of a report, what the demonstration shows.
	if err := json.Unmarshal(report, &r); err != nil {
		return fmt.Errorf("report of %s: %w", tenant, err)
	}
	if tenant == "flagship" {
		summary.NotProven = r.NotProven
	}
	return nil
}

func writeBundle(ctx context.Context, plane *run.Plane, tenant, path string) (entries uint64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	manifest, err := plane.WriteBundle(ctx, tenant, f)
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	return manifest.Entries.Records, f.Close()
}

// findVerifier finds the tenant's program beside this one.
func findVerifier() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "bulkhead-verify")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing: build it with `make build`", path)
	}
	return path, nil
}
