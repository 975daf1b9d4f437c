package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/storage"
)

// volumes is a backend in memory.
type volumes struct {
	byID map[storage.VolumeID]*volume
}

type volume struct {
	provisioned storage.Volume
	grants      map[storage.Principal]time.Time
	mounts      map[storage.Principal]int
	bytes       uint64
	erased      *storage.ErasureReceipt
}

func (v *volumes) init() { v.byID = map[storage.VolumeID]*volume{} }

// Storage returns the driver of the site's storage.
func (s *Sim) Storage() storage.Driver { return (*storageDriver)(s) }

type storageDriver Sim

func (d *storageDriver) open(ctx context.Context) (*Sim, error) {
	s := (*Sim)(d)
	s.mu.Lock()
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	return s, nil
}

func (s *Sim) find(id storage.VolumeID) (*volume, error) {
	v := s.volume.byID[id]
	if v == nil || v.erased != nil {
		return nil, fmt.Errorf("volume %.80q: %w", string(id), storage.ErrNoVolume)
	}
	return v, nil
}

// Capabilities implements storage.Driver.
func (d *storageDriver) Capabilities(ctx context.Context) (storage.Capabilities, error) {
	return storage.Capabilities{Backend: "sim", KeyModes: []storage.KeyMode{storage.OwnerKeys, storage.ServerKeys, storage.ClientKeys},
		Deadline: 10 * time.Second, Origin: claim.Simulated}, ctx.Err()
}

// Provision implements storage.Driver.
func (d *storageDriver) Provision(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	s, err := d.open(ctx)
	if err != nil {
		return storage.Volume{}, err
	}
	defer s.mu.Unlock()
	if err := spec.Check(); err != nil {
		return storage.Volume{}, err
	}
	if v := s.volume.byID[spec.ID]; v != nil {
		switch {
		case v.erased != nil:
			return storage.Volume{}, fmt.Errorf("volume %s: %w", spec.ID, storage.ErrDestroyed)
		case v.provisioned.Spec != spec:
			return storage.Volume{}, fmt.Errorf("volume %s: %w", spec.ID, storage.ErrDifferent)
		}
		return v.provisioned, nil
	}
	v := &volume{provisioned: storage.Volume{Spec: spec, Created: s.now, Backend: "sim:/leases/" + string(spec.ID)},
		grants: map[storage.Principal]time.Time{}, mounts: map[storage.Principal]int{}}
	s.volume.byID[spec.ID] = v
	return v.provisioned, nil
}

// Grant implements storage.Driver.
func (d *storageDriver) Grant(ctx context.Context, id storage.VolumeID, p storage.Principal) (storage.Credential, error) {
	s, err := d.open(ctx)
	if err != nil {
		return storage.Credential{}, err
	}
	defer s.mu.Unlock()
	v, err := s.find(id)
	if err != nil {
		return storage.Credential{}, err
	}
	if err := storage.CheckName(string(p)); err != nil {
		return storage.Credential{}, fmt.Errorf("principal: %w", err)
	}
	if _, ok := v.grants[p]; !ok {
		v.grants[p] = s.now
		s.schedule(s.now.Add(mountAfter), func() { s.use(v, p) })
	}
	secret := mix(s.config.Seed ^ hashID(string(id)+"\x00"+string(p)) ^ uint64(v.grants[p].UnixNano()))
	return storage.Credential{Grant: storage.Grant{Volume: id, Principal: p, Since: v.grants[p]}, Path: v.provisioned.Backend,
		Secret: fmt.Sprintf("simulated-%016x", secret)}, nil
}

// Revoke implements storage.Driver.
func (d *storageDriver) Revoke(ctx context.Context, id storage.VolumeID, p storage.Principal) (storage.RevokeReceipt, error) {
	s, err := d.open(ctx)
	if err != nil {
		return storage.RevokeReceipt{}, err
	}
	defer s.mu.Unlock()
	v, err := s.find(id)
	if err != nil {
		return storage.RevokeReceipt{}, err
	}
	r := storage.RevokeReceipt{Volume: id, Principal: p, Revoked: s.now, EndedMounts: v.mounts[p], Origin: claim.Simulated}
	delete(v.mounts, p)
	delete(v.grants, p)
	r.Probe = s.probe(v, p)
	return r, nil
}

// probe tries a credential of a principal.
func (s *Sim) probe(v *volume, p storage.Principal) string {
	if _, granted := v.grants[p]; granted || v.mounts[p] > 0 {
		return "granted"
	}
	return storage.Denied
}

// Usage implements storage.Driver.
func (d *storageDriver) Usage(ctx context.Context, id storage.VolumeID) (storage.Usage, error) {
	s, err := d.open(ctx)
	if err != nil {
		return storage.Usage{}, err
	}
	defer s.mu.Unlock()
	v, err := s.find(id)
	if err != nil {
		return storage.Usage{}, err
	}
	u := storage.Usage{Volume: id, At: s.now, Bytes: v.bytes, Objects: (v.bytes + objectSize - 1) / objectSize}
	for _, n := range v.mounts {
		u.Mounts += n
	}
	return u, nil
}

const objectSize = 4 << 20 // bytes, as Ceph stripes files by default

// Destroy implements storage.Driver.
func (d *storageDriver) Destroy(ctx context.Context, id storage.VolumeID) (storage.ErasureReceipt, error) {
	s, err := d.open(ctx)
	if err != nil {
		return storage.ErasureReceipt{}, err
	}
	defer s.mu.Unlock()
	if v := s.volume.byID[id]; v != nil && v.erased != nil {
		return *v.erased, nil
	}
	v, err := s.find(id)
	if err != nil {
		return storage.ErasureReceipt{}, err
	}
	if len(v.grants)+len(v.mounts) > 0 {
		return storage.ErasureReceipt{}, fmt.Errorf("volume %s: %d grants, %d principals with open mounts: %w", id, len(v.grants), len(v.mounts), storage.ErrGranted)
	}
	v.bytes = 0
	r := &storage.ErasureReceipt{Volume: id, Tenant: v.provisioned.Spec.Tenant, Destroyed: s.now, Method: storage.EraseObjects, Origin: claim.Simulated}
	if v.provisioned.Spec.KeyMode == storage.ServerKeys {
		r.Method, r.KeyDestroyed = storage.EraseKey, true
	}
	v.erased = r
	r.Reopen = storage.Denied
	if _, err := s.find(id); err == nil {
		r.Reopen = "opened"
	}
	return *r, nil
}

// Observe implements storage.Driver.
func (d *storageDriver) Observe(ctx context.Context) (storage.Observation, error) {
	s, err := d.open(ctx)
	if err != nil {
		return storage.Observation{}, err
	}
	defer s.mu.Unlock()
	o := storage.Observation{At: s.now}
	for id, v := range s.volume.byID {
		if v.erased != nil {
			continue
		}
		o.Volumes = append(o.Volumes, v.provisioned)
		for p, since := range v.grants {
			o.Grants = append(o.Grants, storage.Grant{Volume: id, Principal: p, Since: since})
		}
		for p := range v.mounts {
			o.Mounts = append(o.Mounts, storage.Grant{Volume: id, Principal: p, Since: v.grants[p]})
		}
	}
	slices.SortFunc(o.Volumes, func(a, b storage.Volume) int { return cmp.Compare(a.Spec.ID, b.Spec.ID) })
	for _, list := range [][]storage.Grant{o.Grants, o.Mounts} {
		slices.SortFunc(list, func(a, b storage.Grant) int {
			return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Principal, b.Principal))
		})
	}
	return o, nil
}

// A simulated tenant mounts what it was granted soon after, and writes to it.
const (
	mountAfter  = 10 * time.Minute
	usualMounts = 4
	usualBytes  = 1 << 40
)

func (s *Sim) use(v *volume, p storage.Principal) {
	if _, granted := v.grants[p]; granted && v.erased == nil && v.mounts[p] == 0 {
		v.mounts[p] = usualMounts
		v.bytes = min(v.bytes+usualBytes, v.provisioned.Spec.CapacityBytes)
	}
}

// stray gives access to somebody behind the control plane's back, as a hurried
// administrator would, and opens a mount with it.
func (s *Sim) stray(f Fault) {
	for _, id := range slices.Sorted(maps.Keys(s.volume.byID)) {
		v := s.volume.byID[id]
		if v.erased == nil && (f.Volume == "" || f.Volume == id) {
			v.grants["maintenance"] = s.now
			v.mounts["maintenance"] = 1
			return
		}
	}
}

// Mount opens a mount with a credential and writes that many bytes, as a tenant
// would. It is refused without a live grant.
func (s *Sim) Mount(id storage.VolumeID, p storage.Principal, write uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.find(id)
	if err != nil {
		return err
	}
	if _, ok := v.grants[p]; !ok {
		return fmt.Errorf("volume %s: %s: access denied", id, p)
	}
	v.mounts[p]++
	v.bytes = min(v.bytes+write, v.provisioned.Spec.CapacityBytes)
	return nil
}
