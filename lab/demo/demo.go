// Package demo tells the story of package story to a person, and ends on one screen. It
// starts the simulated site in a process of its own, runs the control plane on the
// embedded store, shows progress, writes what a tenant takes home, and has it verified by
// the tenant's own program.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/lab/story"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
	"bulkhead/place"
	"bulkhead/run"
)

// Options are what a person may choose.
type Options struct {
	Size   string // full, small or tiny
	Seed   int64
	Out    string
	Writer io.Writer // where the story is told
}

// marker is the file by which a folder is known to be a demonstration's own:
// only such a folder is ever emptied.
const marker = ".bulkhead-demo"

// Run tells the story and leaves everything that it made in Options.Out.
func Run(ctx context.Context, o Options) (err error) {
	cast, err := story.LoadParts(o.Size)
	if err != nil {
		return err
	}
	if err := prepare(o.Out); err != nil {
		return err
	}
	show := newScreen(o.Writer)
	show.line("Bulkhead tells its main job on a simulated site (%s). Everything about devices is simulated and says so.", o.Size)
	show.line("What it makes is left in %s/.", o.Out)

	show.chapter("devices")
	devices, err := startDevices(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, devices.stop()) }()

	log, err := sqlite.Open(filepath.Join(o.Out, "ledger.db"))
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := keystore.Open(filepath.Join(o.Out, "keys"), story.Begin)
	if err != nil {
		return err
	}
	clock := run.NewVirtualClock(story.Begin)
	headlines := story.NewHeadlines()
	plane, err := run.Open(ctx, run.Config{
		Log: log, Signers: keys, Clock: clock, Writer: "demo", Devices: devices.drivers,
		Notify: func(entries []ledger.Entry) {
			for i := range entries {
				if line := headlines.Line(&entries[i]); line != "" {
					show.tell(entries[i].Time, line)
				}
			}
		},
		Published: &ledger.Published{Path: filepath.Join(o.Out, "checkpoint"), Verifiers: keys.Verifiers},
	})
	if err != nil {
		return err
	}
	show.chapter("story")
	telling := story.New(cast, plane, devices, clock, show.tell)
	telling.Progress = show.progress
	if telling.Officers, err = makeOfficers(o.Out, cast); err != nil {
		return err
	}
	if err := telling.Run(ctx); err != nil {
		return err
	}
	if err := plane.Publish(ctx); err != nil {
		return err
	}
	show.chapter("hand-over")
	if err := writeHandOver(plane, o.Out); err != nil {
		return err
	}
	if err := writeInvoices(ctx, plane, o.Out); err != nil {
		return err
	}
	summary, err := summarise(ctx, plane, log)
	if err != nil {
		return err
	}
	show.chapter("evidence")
	if err := verifyAll(ctx, plane, keys, o.Out, &summary, show); err != nil {
		return err
	}
	summary.Measured.Seconds = show.seconds()
	summary.Measured.PeakRSS = peakRSS()
	if info, err := os.Stat(filepath.Join(o.Out, "ledger.db")); err == nil {
		summary.Measured.Store = info.Size()
	}
	if err := writeJSON(filepath.Join(o.Out, "summary.json"), summary); err != nil {
		return err
	}
	summary.Print(o.Writer)
	show.line("summary.json, invoices/, hand-over/, bundles/, ledger.db are in %s/. Try: bulkhead ledger verify --data %s", o.Out, o.Out)
	return nil
}

// prepare makes the folder, or empties one that an earlier demonstration made.
func prepare(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(out, marker), nil, 0o644)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(out, marker)); err != nil {
		return fmt.Errorf("%s is not empty and no earlier demonstration made it: choose another folder with --out", out)
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(out, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func summarise(ctx context.Context, plane *run.Plane, log ledger.Log) (story.Summary, error) {
	var summary story.Summary
	var err error
	plane.View(func(s *book.State) {
		summary, err = story.Summarise(s, func(l *book.Lease) (place.Certificate, error) {
			whole, ok := s.Placements[l.Certificate]
			if !ok {
				return place.Certificate{}, errors.New("no certificate in the site's scope")
			}
			body, err := log.Body(ctx, whole)
			if err != nil {
				return place.Certificate{}, err
			}
			return place.DecodeCertificate(body)
		})
	})
	if err != nil {
		return summary, err
	}
	for e, err := range log.Read(ctx, 1) {
		if err != nil {
			return summary, err
		}
		if err := summary.Life.Count(&e); err != nil {
			return summary, err
		}
	}
	return summary, nil
}

func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
