package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/storage"
)

// VolumeRetention is how long a volume outlives its contract before it is
// destroyed: nothing can bring it back, and its tenant may come for it late.
const VolumeRetention = 7 * 24 * time.Hour

// Volume is a volume of a tenant as the ledger tells of it.
type Volume struct {
	Contract    string
	Name        string         // in the contract
	Provisioned storage.Volume `json:"Held"`
	Origin      claim.Origin
	Grants      map[storage.Principal]Access
	Destroyed   time.Time // zero: it is there
}

// Access is who can reach a volume.
type Access struct {
	Since time.Time
	Stray bool // nobody ordered it
}

// The things that are done to a volume.
const (
	ProvisionVolume = "provision"
	GrantVolume     = "grant"
	RevokeVolume    = "revoke"
	DestroyVolume   = "destroy"
)

// VolumeWork is one thing that a backend is to do.
type VolumeWork struct {
	Action    string
	Contract  string
	Spec      storage.VolumeSpec
	Principal storage.Principal // of a grant or a revocation
}

func (w VolumeWork) String() string {
	if w.Principal != "" {
		return fmt.Sprintf("%s %s, %s", w.Action, w.Spec.ID, w.Principal)
	}
	return fmt.Sprintf("%s %s", w.Action, w.Spec.ID)
}

// VolumeIDs lists the volumes, also those that are destroyed, in order.
func (s *State) VolumeIDs() []storage.VolumeID { return sortedKeys(s.Volumes) }

// planVolumes plans what storage needs: volumes before their date, access for
// leases that are about to begin, none for those that are over, and in the end
// the volume's destruction.
func (s *State) planVolumes(p *Plan, now time.Time) {
	for _, id := range s.ContractIDs() {
		c := s.Contracts[id].Current()
		for i := range c.Storage {
			sold := &c.Storage[i]
			v := s.Volumes[storage.IDOf(id, sold.ID)]
			if v == nil && s.Contracts[id].Closed.IsZero() && !now.Before(sold.From.Add(-Lead)) && now.Before(sold.To) {
				p.Volumes = append(p.Volumes, VolumeWork{Action: ProvisionVolume, Contract: id, Spec: storage.SpecOf(c, sold)})
			}
		}
	}
	for _, l := range s.Leases {
		for _, v := range s.volumesOf(l) {
			principal := storage.PrincipalOf(l.ID)
			if _, has := v.Grants[principal]; !has && s.wantsGrant(v, l, now) {
				p.Volumes = append(p.Volumes, VolumeWork{Action: GrantVolume, Contract: v.Contract, Spec: v.Provisioned.Spec, Principal: principal})
			}
		}
	}
	for _, id := range s.VolumeIDs() {
		v := s.Volumes[id]
		if !v.Destroyed.IsZero() {
			continue
		}
		for _, principal := range sortedKeys(v.Grants) {
			l, ok := s.LeaseByID(lease.ID(principal))
			if v.Grants[principal].Stray || !ok || !s.keepsGrant(v, l, now) {
				p.Volumes = append(p.Volumes, VolumeWork{Action: RevokeVolume, Contract: v.Contract, Spec: v.Provisioned.Spec, Principal: principal})
			}
		}
		switch over := s.volumeOver(v, now); {
		case !over || len(v.Grants) > 0:
		case s.Control.Brake != nil:
			p.Deferred = append(p.Deferred, fmt.Sprintf("volume %s is not destroyed: the brake is engaged", id))
		default:
			p.Volumes = append(p.Volumes, VolumeWork{Action: DestroyVolume, Contract: v.Contract, Spec: v.Provisioned.Spec})
		}
	}
}

// sold is the volume in the version of its contract that is in force, or nil.
func (s *State) sold(v *Volume) *contract.Volume {
	k, ok := s.Contracts[v.Contract]
	if !ok {
		return nil
	}
	c := k.Current()
	for i := range c.Storage {
		if c.Storage[i].ID == v.Name {
			return &c.Storage[i]
		}
	}
	return nil
}

// volumesOf lists the volumes that come with a lease's tranche and are there.
func (s *State) volumesOf(l *Lease) []*Volume {
	var out []*Volume
	t := s.Contracts[l.Contract].Current().TrancheByID(l.Tranche)
	if t == nil {
		return nil
	}
	for _, name := range t.Volumes {
		if v := s.Volumes[storage.IDOf(l.Contract, name)]; v != nil && v.Destroyed.IsZero() {
			out = append(out, v)
		}
	}
	return out
}

// keepsGrant says whether a lease may go on reaching a volume.
func (s *State) keepsGrant(v *Volume, l *Lease, now time.Time) bool {
	sold := s.sold(v)
	return sold != nil && now.Before(sold.To) && l.Tenant == v.Provisioned.Spec.Tenant && l.Returning.IsZero() &&
		slices.Contains(s.volumesOf(l), v)
}

// wantsGrant says whether a lease is to reach a volume now.
func (s *State) wantsGrant(v *Volume, l *Lease, now time.Time) bool {
	return s.keepsGrant(v, l, now) && !now.Before(l.Begin.Add(-Lead)) && now.Before(l.End)
}

// ExpectsAccess says whether somebody who reaches a volume is known to: access
// was recorded, or is just being given.
func (s *State) ExpectsAccess(v *Volume, p storage.Principal, now time.Time) bool {
	if _, has := v.Grants[p]; has {
		return true
	}
	l, ok := s.LeaseByID(lease.ID(p))
	return ok && s.wantsGrant(v, l, now)
}

// MissingVolumes lists the volumes of a lease that are sold for now and that it
// can't reach yet: its nodes are not handed over without them.
func (s *State) MissingVolumes(l *Lease, now time.Time) []storage.VolumeID {
	c := s.Contracts[l.Contract].Current()
	t := c.TrancheByID(l.Tranche)
	if t == nil {
		return nil
	}
	var missing []storage.VolumeID
	for i := range c.Storage {
		sold := &c.Storage[i]
		if !slices.Contains(t.Volumes, sold.ID) || now.Before(sold.From) || !now.Before(sold.To) {
			continue
		}
		id := storage.IDOf(c.ID, sold.ID)
		if v := s.Volumes[id]; v == nil || v.Grants[storage.PrincipalOf(l.ID)].Since.IsZero() {
			missing = append(missing, id)
		}
	}
	return missing
}

// Reached lists the volumes that a lease can still reach.
func (s *State) Reached(l *Lease) []storage.VolumeID {
	var ids []storage.VolumeID
	for _, id := range s.VolumeIDs() {
		if _, has := s.Volumes[id].Grants[storage.PrincipalOf(l.ID)]; has {
			ids = append(ids, id)
		}
	}
	return ids
}

// volumeOver says whether a volume's time, and its retention, have passed.
func (s *State) volumeOver(v *Volume, now time.Time) bool {
	k := s.Contracts[v.Contract]
	end := k.Current().End
	if sold := s.sold(v); sold != nil {
		end = sold.To
	}
	return !now.Before(end.Add(VolumeRetention))
}

// RecordVolume records a volume that a backend has made.
type RecordVolume struct {
	Contract string
	Volume   storage.Volume
	Origin   claim.Origin
}

func (c RecordVolume) decide(s *State, env Env) (*Decision, error) {
	k, ok := s.Contracts[c.Contract]
	if !ok {
		return nil, refuse("contract", "no contract %q in force", c.Contract)
	}
	id := c.Volume.Spec.ID
	if s.Volumes[id] != nil {
		return nil, ErrNothing
	}
	for i := range k.Current().Storage {
		if sold := &k.Current().Storage[i]; storage.IDOf(c.Contract, sold.ID) == id {
			if want := storage.SpecOf(k.Current(), sold); c.Volume.Spec != want {
				return nil, refuse("volume", "%s is %s, the contract sells %s", id, &c.Volume.Spec, &want)
			}
			d := &Decision{}
			d.add(TenantScope(k.Current().Tenant), storage.KindProvisioned, storage.Provisioned{Contract: c.Contract, Volume: c.Volume, Origin: c.Origin})
			return d, nil
		}
	}
	return nil, refuse("volume", "contract %s sells no volume %s", c.Contract, id)
}

func (s *State) applyProvisioned(e *ledger.Entry, b storage.Provisioned, _ Bodies) error {
	id := b.Volume.Spec.ID
	if err := b.Volume.Spec.Check(); err != nil {
		return err
	}
	k, ok := s.Contracts[b.Contract]
	if !ok || e.Scope != TenantScope(k.Current().Tenant) {
		return fmt.Errorf("no contract %q of this tenant", b.Contract)
	}
	for _, sold := range k.Current().Storage {
		if storage.IDOf(b.Contract, sold.ID) == id {
			s.Volumes[id] = &Volume{Contract: b.Contract, Name: sold.ID, Provisioned: b.Volume, Origin: b.Origin, Grants: map[storage.Principal]Access{}}
			return nil
		}
	}
	return fmt.Errorf("contract %s sells no volume %s", b.Contract, id)
}

// volume finds a volume that is there.
func (s *State) volume(id storage.VolumeID) (*Volume, error) {
	v := s.Volumes[id]
	if v == nil || !v.Destroyed.IsZero() {
		return nil, refuse("volume", "no volume %.130q", string(id))
	}
	return v, nil
}

// RecordGrant records that a lease can reach a volume, as read back.
type RecordGrant struct {
	Volume storage.VolumeID
	Lease  lease.ID
	Since  time.Time
	Origin claim.Origin
}

func (c RecordGrant) decide(s *State, env Env) (*Decision, error) {
	v, err := s.volume(c.Volume)
	if err != nil {
		return nil, err
	}
	l, ok := s.LeaseByID(c.Lease)
	if !ok {
		return nil, refuse("lease", "no lease %q", c.Lease)
	}
	if _, has := v.Grants[storage.PrincipalOf(c.Lease)]; has {
		return nil, ErrNothing
	}
	if !s.wantsGrant(v, l, env.Now) {
		return nil, refuse("lease", "%s may not reach %s now", l.ID, c.Volume)
	}
	if c.Since.IsZero() {
		return nil, refuse("since", "the backend's list of grants does not show it")
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), storage.KindGranted, storage.Granted{Volume: c.Volume, Lease: c.Lease, Since: c.Since, Origin: c.Origin})
	return d, nil
}

func (s *State) applyGranted(e *ledger.Entry, b storage.Granted, _ Bodies) error {
	v, err := s.volume(b.Volume)
	if err != nil {
		return err
	}
	if l, ok := s.LeaseByID(b.Lease); !ok || l.Tenant != v.Provisioned.Spec.Tenant {
		return fmt.Errorf("volume %s is granted to %q, which is no lease of its tenant", b.Volume, b.Lease)
	}
	v.Grants[storage.PrincipalOf(b.Lease)] = Access{Since: e.Time}
	return nil
}

// RecordStray records access that nobody ordered. The loop revokes it next.
type RecordStray struct {
	Volume    storage.VolumeID
	Principal storage.Principal
	Mounted   bool
}

func (c RecordStray) decide(s *State, env Env) (*Decision, error) {
	v, err := s.volume(c.Volume)
	if err != nil {
		return nil, err
	}
	if s.ExpectsAccess(v, c.Principal, env.Now) {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(TenantScope(v.Provisioned.Spec.Tenant), storage.KindStray, storage.Stray{Volume: c.Volume, Principal: c.Principal, Mounted: c.Mounted})
	return d, nil
}

func (s *State) applyStray(e *ledger.Entry, b storage.Stray, _ Bodies) error {
	v, err := s.volume(b.Volume)
	if err != nil {
		return err
	}
	v.Grants[b.Principal] = Access{Since: e.Time, Stray: true}
	return nil
}

// RecordRevoked records that access has ended, with the backend's receipt.
type RecordRevoked struct{ Receipt storage.RevokeReceipt }

func (c RecordRevoked) decide(s *State, env Env) (*Decision, error) {
	v, err := s.volume(c.Receipt.Volume)
	if err != nil {
		return nil, err
	}
	access, has := v.Grants[c.Receipt.Principal]
	if !has {
		return nil, ErrNothing
	}
	if err := c.Receipt.CheckRevoked(c.Receipt.Volume, c.Receipt.Principal); err != nil {
		return nil, refuse("receipt", "%v", err)
	}
	if l, ok := s.LeaseByID(lease.ID(c.Receipt.Principal)); ok && !access.Stray && s.keepsGrant(v, l, env.Now) {
		return nil, refuse("lease", "%s runs and keeps %s", l.ID, c.Receipt.Volume)
	}
	d := &Decision{}
	d.add(TenantScope(v.Provisioned.Spec.Tenant), storage.KindRevoked, storage.Revoked{Receipt: c.Receipt})
	return d, nil
}

func (s *State) applyRevoked(e *ledger.Entry, b storage.Revoked, _ Bodies) error {
	v, err := s.volume(b.Receipt.Volume)
	if err != nil {
		return err
	}
	delete(v.Grants, b.Receipt.Principal)
	return nil
}

// RecordDestroyed records that a volume is gone, with the backend's receipt.
type RecordDestroyed struct{ Receipt storage.ErasureReceipt }

func (c RecordDestroyed) decide(s *State, env Env) (*Decision, error) {
	v, err := s.volume(c.Receipt.Volume)
	if err != nil {
		return nil, err
	}
	if err := c.Receipt.Check(c.Receipt.Volume); err != nil {
		return nil, refuse("receipt", "%v", err)
	}
	if len(v.Grants) > 0 || !s.volumeOver(v, env.Now) {
		return nil, refuse("volume", "%s is in use: %d can reach it", c.Receipt.Volume, len(v.Grants))
	}
	d := &Decision{}
	d.add(TenantScope(v.Provisioned.Spec.Tenant), storage.KindDestroyed, storage.Destroyed{Receipt: c.Receipt})
	return d, nil
}

func (s *State) applyDestroyed(e *ledger.Entry, b storage.Destroyed, _ Bodies) error {
	v, err := s.volume(b.Receipt.Volume)
	if err != nil {
		return err
	}
	v.Destroyed = e.Time
	return nil
}

// checkResized refuses a version that changes what a volume that is there is:
// no backend is asked to resize one yet, and a bill for another size than the
// backend holds would be wrong.
func (s *State) checkResized(next *contract.Contract) error {
	for i := range next.Storage {
		sold := &next.Storage[i]
		v := s.Volumes[storage.IDOf(next.ID, sold.ID)]
		if v == nil {
			continue
		}
		field := fmt.Sprintf("storage.%s", sold.ID)
		if !v.Destroyed.IsZero() {
			return refuse(field, "it was destroyed on %s: give the new volume another id", v.Destroyed.Format(time.DateOnly))
		}
		if storage.SpecOf(next, sold) != v.Provisioned.Spec {
			return refuse(field, "capacity, bandwidth and key mode of a volume that is there can't change: sell another volume beside it")
		}
	}
	return nil
}

// checkVolumes is the invariant of storage.
func (s *State) checkVolumes() error {
	for _, id := range s.VolumeIDs() {
		v := s.Volumes[id]
		if !v.Destroyed.IsZero() && len(v.Grants) > 0 {
			return fmt.Errorf("volume %s is destroyed and %d can reach it", id, len(v.Grants))
		}
		for _, p := range sortedKeys(v.Grants) {
			l, ok := s.LeaseByID(lease.ID(p))
			if v.Grants[p].Stray {
				continue
			}
			if !ok || l.Tenant != v.Provisioned.Spec.Tenant {
				return fmt.Errorf("volume %s of %s is granted to %s, which is no lease of it", id, v.Provisioned.Spec.Tenant, p)
			}
			if !l.Returned.IsZero() {
				return fmt.Errorf("volume %s can be reached by %s, which was returned", id, p)
			}
		}
	}
	return nil
}
