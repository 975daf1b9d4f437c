package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"bulkhead/fabric"
)

// Fence is the newest fence that a device has seen, kept in a file of its agent's state
// folder.
type Fence struct {
	path string

	mu     sync.Mutex
	newest fabric.Fence
}

// OpenFence reads the fence of a state folder, which it makes; none if there is no file.
// One that is not understood is an error: an agent that does not know its fence takes no
// writes.
func OpenFence(dir string) (*Fence, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f := &Fence{path: filepath.Join(dir, "fence")}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	term, generation, ok := strings.Cut(strings.TrimSuffix(string(data), "\n"), " ")
	t, err := strconv.ParseUint(term, 10, 64)
	g, err2 := strconv.ParseUint(generation, 10, 64)
	if !ok || err != nil || err2 != nil {
		return nil, fmt.Errorf("%s: %.60q: expected a term and a generation; give it the newest writer's and start the agent again", f.path, data)
	}
	f.newest = fabric.Fence{Term: t, Generation: g}
	return f, nil
}

// Admit takes a fence and keeps it, or refuses it. The caller sees to it that nothing is
// written meanwhile under another.
func (f *Fence) Admit(next fabric.Fence) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if next.Older(f.newest) {
		return fabric.Refused(next, f.newest)
	}
	if next == f.newest {
		return nil
	}
	if err := Replace(f.path, fmt.Appendf(nil, "%d %d\n", next.Term, next.Generation)); err != nil {
		return err
	}
	f.newest = next
	return nil
}
