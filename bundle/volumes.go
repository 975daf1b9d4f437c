package bundle

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/prove"
	"bulkhead/storage"
)

// volumeLog is one volume as the tenant's log tells of it.
type volumeLog struct {
	contract  *contractLog
	name      string // in the contract
	spec      storage.VolumeSpec
	grants    map[storage.Principal]accessLog
	destroyed bool
	used      time.Time // until when the log shows it in use
}

// accessLog is who can reach a volume, and from which entry on.
type accessLog struct {
	at       logEntry
	since    time.Time
	stray    bool
	interval int // of a stray one: its index in the times that are not proven
}

func (v *verifier) applyVolumes(body any) {
	switch b := body.(type) {
	case *fabric.Postures:
		v.posture(b)
	case *prove.Probed:
		v.probed(b)
	case *ledger.TakenOff:
		v.takenOff(b)
	case *storage.Provisioned:
		v.provisioned(b)
	case *storage.Granted:
		v.granted(b)
	case *storage.Stray:
		v.stray(b)
	case *storage.Revoked:
		v.revoked(b)
	case *storage.Destroyed:
		v.volumeDestroyed(b)
	}
}

// sold is the volume in the version of its contract that is in force, or nil.
func (l *volumeLog) sold() *contract.Volume {
	c := l.contract.current()
	for i := range c.Storage {
		if c.Storage[i].ID == l.name {
			return &c.Storage[i]
		}
	}
	return nil
}

// keyClaims says what a key mode is worth.
var keyClaims = map[storage.KeyMode]string{
	storage.OwnerKeys:  "the keys are the owner's: they protect a disk that is lost, and nothing from the owner",
	storage.ServerKeys: "the servers see plain text while they run",
	storage.ClientKeys: "the tenant encrypts before it writes: nothing here shows that it does",
}

func (v *verifier) provisioned(b *storage.Provisioned) {
	id := b.Volume.Spec.ID
	k := v.contracts[b.Contract]
	if k == nil || v.volumes[id] != nil {
		v.fail(v.at, CheckVolume, string(id), "it is made for contract %q, which must be in force, and once", b.Contract)
		return
	}
	v.budget.keep(perVolume+2*int64(len(id)), "volumes")
	v.budget.spend(2*len(k.current().Storage), "volumes")
	l := &volumeLog{contract: k, spec: b.Volume.Spec, grants: map[storage.Principal]accessLog{}}
	c := k.current()
	for i := range c.Storage {
		if storage.IDOf(c.ID, c.Storage[i].ID) == id {
			l.name = c.Storage[i].ID
			if want := storage.SpecOf(c, &c.Storage[i]); want != b.Volume.Spec {
				v.fail(v.at, CheckVolume, string(id), "%s, the contract sells %s", &b.Volume.Spec, &want)
			}
		}
	}
	if l.name == "" {
		v.fail(v.at, CheckVolume, string(id), "contract %s sells no such volume", c.ID)
		return
	}
	v.volumes[id] = l
	l.used = v.time
	v.notFuture(string(id), "the volume's creation", b.Volume.Created)
	v.claim(v.at, claim.Claim{
		Subject: string(id), Sentence: "a volume of the tenant's own, with the capacity and the keys that its contract says",
		Grade: claim.OperatorAsserted, Origin: b.Origin, Note: keyClaims[b.Volume.Spec.KeyMode],
	}, v.policy.Minimum.Storage)
}

// volume finds a volume that is there.
func (v *verifier) volume(id storage.VolumeID) *volumeLog {
	l := v.volumes[id]
	if l == nil || l.destroyed {
		v.fail(v.at, CheckVolume, string(id), "no such volume was made, or it was destroyed")
		return nil
	}
	return l
}

func (v *verifier) granted(b *storage.Granted) {
	l := v.volume(b.Volume)
	if l == nil {
		return
	}
	p := storage.PrincipalOf(b.Lease)
	holder := v.leaseOf(b.Lease)
	if holder == nil {
		return
	}
	if _, has := l.grants[p]; has || holder.contract != l.contract || !holder.returning.IsZero() || !v.comesWith(holder, l) {
		v.fail(v.at, CheckGrant, string(b.Volume), "access for %s: expected a lease that runs, whose tranche comes with this volume, and once", b.Lease)
	}
	v.budget.keep(perLabel+2*int64(len(p)), "grants")
	v.step(holder, actGrant)
	v.notFuture(string(b.Volume), "the grant", b.Since)
	l.grants[p] = accessLog{at: v.at, since: v.time}
	v.claim(v.at, claim.Claim{
		Subject: string(b.Volume), Sentence: "the tenant's own lease can reach it", Grade: claim.OperatorAsserted, Origin: b.Origin, Note: "the backend's list of grants",
	}, v.policy.Minimum.Storage)
}

// comesWith says whether a lease's tranche names a volume.
func (v *verifier) comesWith(l *leaseLog, volume *volumeLog) bool {
	v.budget.spend(len(l.contract.current().Tranches)/8, "volumes")
	t := l.contract.current().TrancheByID(l.Tranche)
	if t != nil {
		v.budget.spend(len(t.Volumes)/8, "volumes")
	}
	return t != nil && slices.Contains(t.Volumes, volume.name)
}

// stray opens a time in which somebody could reach the tenant's data whom nobody
// had let in. It is no lie of the log: it is what the tenant must be told.
func (v *verifier) stray(b *storage.Stray) {
	l := v.volume(b.Volume)
	if l == nil {
		return
	}
	if _, has := l.grants[b.Principal]; has {
		v.fail(v.at, CheckGrant, string(b.Volume), "%s counts as stray and was let in", b.Principal)
	}
	how := "could reach"
	if b.Mounted {
		how = "had mounted"
	}
	v.budget.keep(perLabel+perInterval+3*int64(len(b.Principal)), "grants")
	l.grants[b.Principal] = accessLog{at: v.at, since: v.time, stray: true, interval: len(v.intervals)}
	v.intervals = append(v.intervals, Interval{From: v.time, What: fmt.Sprintf("volume %s: %s %s it, and nobody had ordered that", b.Volume, b.Principal, how), Entry: v.at.entry})
}

func (v *verifier) revoked(b *storage.Revoked) {
	r := &b.Receipt
	l := v.volume(r.Volume)
	if l == nil {
		return
	}
	access, has := l.grants[r.Principal]
	if !has {
		v.fail(v.at, CheckGrant, string(r.Volume), "%s loses access that it did not have", r.Principal)
		return
	}
	if err := r.CheckRevoked(r.Volume, r.Principal); err != nil {
		v.fail(v.at, CheckRevoked, string(r.Volume), "%s: %v", r.Principal, err)
	}
	v.receiptAge(r, access)
	l.used = v.time
	delete(l.grants, r.Principal)
	sentence := "access of a lease ended: open mounts were fenced, the old credential was tried and denied"
	if access.stray {
		sentence = "access that nobody had ordered was ended: open mounts were fenced, the credential was tried and denied"
		v.intervals[access.interval].Until = v.time
	} else if holder := v.leases[string(r.Principal)]; holder != nil && holder.returning.IsZero() && v.comesWith(holder, l) {
		if sold := l.sold(); sold != nil && v.time.Before(sold.To) {
			v.fail(v.at, CheckGrant, string(r.Volume), "%s loses access while it runs", r.Principal)
		}
	}
	v.claim(v.at, claim.Claim{
		Subject: string(r.Volume), Sentence: sentence, Grade: claim.OperatorAsserted, Origin: r.Origin, Note: "the backend's receipt",
	}, v.policy.Minimum.Storage)
}

func (v *verifier) volumeDestroyed(b *storage.Destroyed) {
	r := &b.Receipt
	l := v.volume(r.Volume)
	if l == nil {
		return
	}
	if err := r.Check(r.Volume); err != nil {
		v.fail(v.at, CheckErased, string(r.Volume), "%v", err)
	}
	over := l.over()
	v.erasureAge(r, l)
	if len(l.grants) > 0 || v.time.Before(over) || r.Tenant != v.tenant {
		v.fail(v.at, CheckErased, string(r.Volume), "it is destroyed at %s, is %s's and runs until %s, and %s can reach it", stamp(v.time), r.Tenant, stamp(over), count(len(l.grants), "principal"))
	}
	l.destroyed = true
	note := "the disks under it hold what they held until they are written again"
	if r.Method == storage.EraseKey {
		note = "its key was destroyed, by the word of who held it"
	}
	v.claim(v.at, claim.Claim{
		Subject: string(r.Volume), Sentence: "destroyed after its contract: no object is left, and opening it again was denied",
		Grade: claim.OperatorAsserted, Origin: r.Origin, Note: note,
	}, v.policy.Minimum.Storage)
}

// volumesGranted judges a delivery: what comes with a tranche comes with its
// nodes.
func (v *verifier) volumesGranted(l *leaseLog) {
	if len(l.contract.versions) == 0 {
		return
	}
	c := l.contract.current()
	t := c.TrancheByID(l.Tranche)
	if t == nil {
		return
	}
	v.budget.spend(len(c.Tranches)/8+len(c.Storage)*(2+len(t.Volumes)/8), "volumes")
	for i := range c.Storage {
		sold := &c.Storage[i]
		if !slices.Contains(t.Volumes, sold.ID) || v.time.Before(sold.From) || !v.time.Before(sold.To) {
			continue
		}
		held := v.volumes[storage.IDOf(c.ID, sold.ID)]
		if held == nil || held.grants[storage.PrincipalOf(l.Lease)].since.IsZero() {
			v.fail(v.at, CheckGrant, string(l.Lease), "nodes are handed over, and it can't reach volume %s", sold.ID)
		}
	}
}

// volumesLeft judges the end of a lease: none of its access may be left when its
// nodes count as severed, nor when it counts as returned.
func (v *verifier) volumesLeft(id lease.ID) {
	v.budget.spend(8*len(v.volumes), "volumes")
	for _, name := range sorted(v.volumes) {
		if _, has := v.volumes[name].grants[storage.PrincipalOf(id)]; has {
			v.fail(v.at, CheckRevoked, string(id), "it can still reach volume %s", name)
		}
	}
}
