package book

import (
	"encoding/json"

	"bulkhead/lease"
	"bulkhead/storage"
)

// Mount is a volume that a lease can reach. The credential is no part of it: it
// never enters the ledger.
type Mount struct {
	Volume        string          `json:"volume"`
	Path          string          `json:"path"`   // in the backend's own words
	Client        string          `json:"client"` // as whom to mount
	CapacityBytes uint64          `json:"capacity_bytes"`
	KeyMode       storage.KeyMode `json:"key_mode"`
}

// HandOver is what the tenant of a lease is given: the hosts that are up, and
// the volumes that they can reach.
// Cost: O(slots).
func (s *State) HandOver(l *Lease) (lease.HandOver, error) {
	h := lease.NewHandOver(s.Site, &l.Lease, func(slot int) bool { return s.SlotUp(l, slot) })
	mounts := []Mount{}
	for _, id := range s.Reached(l) {
		v := s.Volumes[id]
		mounts = append(mounts, Mount{
			Volume: string(id), Path: v.Provisioned.Backend, Client: string(storage.PrincipalOf(l.ID)),
			CapacityBytes: v.Provisioned.Spec.CapacityBytes, KeyMode: v.Provisioned.Spec.KeyMode,
		})
	}
	text, err := json.MarshalIndent(mounts, "", "  ")
	if err != nil {
		return h, err
	}
	h.Files["volumes.json"] = string(text) + "\n"
	return h, nil
}
