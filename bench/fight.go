package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/kueue"
	"bulkhead/bench/sites"
	"bulkhead/bench/slurm"
)

// contender is something that says where nodes go.
type contender interface {
	Name() string
	Occupy(*sites.Occupancy) error
	Place(nodes int) (sites.Decision, error)
	Close() error
}

// fight is one run: its files, and what it has running.
type fight struct {
	options
	begin    time.Time
	versions []string
	files    [][]byte // digests of the shared files, in order of writing

	mu      sync.Mutex
	running []contender
}

// start notes a contender that has to be ended.
func (f *fight) start(c contender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = append(f.running, c)
}

// say prints progress.
func (f *fight) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1f s  %s\n", time.Since(f.begin).Seconds(), fmt.Sprintf(format, args...))
}

// tree writes a site to its file and reads it back: what counts is the file.
func (f *fight) tree(name string, halls, pods, podNodes int) (*sites.Tree, error) {
	data, err := f.file(name+".json", sites.NewTree(name, halls, pods, podNodes).Encode())
	if err != nil {
		return nil, err
	}
	return sites.DecodeTree(data)
}

// occupancy writes an occupancy to its file and reads it back.
func (f *fight) occupancy(t *sites.Tree, percent int, seed uint64) (*sites.Occupancy, error) {
	data, err := f.file(fmt.Sprintf("%s-%02d-%d.txt", t.Name, percent, seed), sites.Occupy(t, percent, seed).Encode())
	if err != nil {
		return nil, err
	}
	return sites.DecodeOccupancy(data)
}

func (f *fight) file(name string, data []byte) ([]byte, error) {
	path := filepath.Join(f.out, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	f.files = append(f.files, append([]byte(name), sum[:]...))
	return os.ReadFile(path)
}

// digest names all shared files of the run.
func (f *fight) digest() string {
	h := sha256.New()
	for _, file := range f.files {
		h.Write(file)
	}
	return fmt.Sprintf("%d files, SHA-256 %x", len(f.files), h.Sum(nil)[:8])
}

// contenders starts all of them on a site. End them with end.
func (f *fight) contenders(t *sites.Tree) (*bulkhead.Bulkhead, *slurm.Slurm, *kueue.Kueue, error) {
	b, err := bulkhead.New(t)
	if err != nil {
		return nil, nil, nil, err
	}
	k, err := kueue.New(t)
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := slurm.Start(f.scratch(), t, false)
	if err != nil {
		return nil, nil, nil, err
	}
	f.start(s)
	if len(f.versions) == 0 {
		f.versions = []string{s.Version() + " (Debian)", k.Version()}
	}
	return b, s, k, nil
}

// scratch is where daemons keep their files.
func (f *fight) scratch() string {
	dir, err := filepath.Abs(f.out)
	if err != nil {
		return os.TempDir()
	}
	return dir
}

// close ends whatever is running.
func (f *fight) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, c := range f.running {
		errs = append(errs, c.Close())
	}
	f.running = nil
	return errors.Join(errs...)
}
