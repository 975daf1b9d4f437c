package bundletest

import (
	"time"

	"bulkhead/claim"
	"bulkhead/storage"
)

// volume is the one volume of the stories' contract.
func (s *Story) volume() storage.VolumeID {
	return storage.IDOf(s.Contract.ID, s.Contract.Storage[0].ID)
}

// Provision makes the contract's volume and lets the lease into it.
func (s *Story) Provision() {
	spec := storage.SpecOf(s.Contract, &s.Contract.Storage[0])
	s.Add(storage.KindProvisioned, storage.Provisioned{
		Contract: s.Contract.ID, Volume: storage.Volume{Spec: spec, Created: s.Now, Backend: "sim:/leases/" + string(spec.ID)}, Origin: claim.Simulated,
	})
	s.Add(storage.KindGranted, storage.Granted{Volume: spec.ID, Lease: s.Lease, Since: s.Now, Origin: claim.Simulated})
}

// Stray is access that nobody ordered, found and ended.
func (s *Story) Stray(p storage.Principal) {
	s.Add(storage.KindStray, storage.Stray{Volume: s.volume(), Principal: p, Mounted: true})
	s.Wait(time.Minute)
	s.Revoke(p)
}

// Revoke ends somebody's access to the volume.
func (s *Story) Revoke(p storage.Principal) {
	s.Add(storage.KindRevoked, storage.Revoked{Receipt: storage.RevokeReceipt{
		Volume: s.volume(), Principal: p, Revoked: s.Now, EndedMounts: 1, Probe: storage.Denied, Origin: claim.Simulated,
	}})
}

// Destroy destroys the volume.
func (s *Story) Destroy() {
	s.Add(storage.KindDestroyed, storage.Destroyed{Receipt: storage.ErasureReceipt{
		Volume: s.volume(), Tenant: s.Tenant, Destroyed: s.Now, Method: storage.EraseObjects, Reopen: storage.Denied, Origin: claim.Simulated,
	}})
}
