package linux

import (
	"encoding/json"
	"os"
	"path/filepath"

	"bulkhead/custody"
	"bulkhead/fabric/ethernet"
)

// queuesFile is in the agent's state folder.
const queuesFile = "queues.json"

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
	return custody.Replace(path, data)
}
