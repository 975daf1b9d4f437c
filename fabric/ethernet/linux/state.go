package linux

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
)

// What survives a restart of an agent lies in files of its state folder.
const (
	fenceFile  = "fence"
	queuesFile = "queues.json"
)

// readFence returns the newest fence that the leaf has seen; none if there is no
// file. A file that is not understood is an error: an agent that does not know its
// fence takes no writes.
func readFence(dir string) (fabric.Fence, error) {
	path := filepath.Join(dir, fenceFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fabric.Fence{}, nil
	}
	if err != nil {
		return fabric.Fence{}, err
	}
	term, generation, ok := strings.Cut(strings.TrimSuffix(string(data), "\n"), " ")
	t, err := strconv.ParseUint(term, 10, 64)
	g, err2 := strconv.ParseUint(generation, 10, 64)
	if !ok || err != nil || err2 != nil {
		return fabric.Fence{}, fmt.Errorf("%s: %.60q: expected a term and a generation; give it the newest writer's and start the agent again", path, data)
	}
	return fabric.Fence{Term: t, Generation: g}, nil
}

// replace puts a file in place of another, durably: after a crash there is the one
// or the other.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func writeFence(dir string, f fabric.Fence) error {
	return replace(filepath.Join(dir, fenceFile), fmt.Appendf(nil, "%d %d\n", f.Term, f.Generation))
}

// queues is how the leaf's queues would be set up, class by class. On a switch this
// is the part of its configuration that its hardware abstraction reads.
type queues struct {
	Class      uint8  `json:"class"`
	PFC        bool   `json:"pfc"`
	ECNMin     uint32 `json:"ecn_min"`
	ECNMax     uint32 `json:"ecn_max"`
	ECNPercent uint8  `json:"ecn_percent"`
}

// writeQueues writes the plan's parameters, where the file does not have them.
func writeQueues(dir string) error {
	var list []queues
	for _, p := range ethernet.Classes() {
		list = append(list, queues{p.Class, p.PFC, p.ECNMin, p.ECNMax, p.ECNPercent})
	}
	data, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, queuesFile)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return nil
	}
	return replace(path, data)
}
