package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"bulkhead/custody"
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
	if err := custody.Folder(dir); err != nil {
		return nil, fmt.Errorf("state of the agent: %w", err)
	}
	f := &Fence{path: filepath.Join(dir, "fence")}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if f.newest, err = decodeFence(string(data)); err != nil {
		return nil, fmt.Errorf("%s: %w; give it the newest writer's and start the agent again", f.path, err)
	}
	return f, nil
}

// encodeFence is a line: term and generation, and where a lineage is named its epoch and
// itself, and the run. Of the last three "-" is none.
func encodeFence(f fabric.Fence) []byte {
	line := fmt.Appendf(nil, "%d %d", f.Term, f.Generation)
	if !f.IsZero() || f.Run != "" {
		line = fmt.Appendf(line, " %d %s %s", f.Epoch, cmp.Or(f.ID, none), cmp.Or(f.Run, none))
	}
	return append(line, '\n')
}

const none = "-"

func decodeFence(line string) (f fabric.Fence, err error) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	numbers := []*uint64{&f.Term, &f.Generation, &f.Epoch}
	if len(fields) == 5 {
		for i, text := range []*string{&f.ID, &f.Run} {
			if *text = fields[3+i]; *text == none {
				*text = ""
			}
		}
		fields = fields[:3]
	} else {
		numbers = numbers[:2]
	}
	if len(fields) != len(numbers) {
		return f, fmt.Errorf("%.60q: expected a term and a generation, or these with an epoch, a lineage and a run", line)
	}
	for i, field := range fields {
		if *numbers[i], err = strconv.ParseUint(field, 10, 64); err != nil {
			return f, fmt.Errorf("%.60q: expected numbers first: %w", line, err)
		}
	}
	return f, f.Check()
}

// Admit takes a fence and keeps it, or refuses it. The caller sees to it that nothing is
// written meanwhile under another.
func (f *Fence) Admit(next fabric.Fence) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := next.Admit(f.newest); err != nil {
		return err
	}
	if next == f.newest {
		return nil
	}
	if err := custody.Replace(f.path, encodeFence(next)); err != nil {
		return err
	}
	f.newest = next
	return nil
}
