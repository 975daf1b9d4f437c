package bundle_test

import (
	"slices"
	"strings"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/prove"
	"bulkhead/storage"
)

// reprobe puts another probe under the entry that names one.
func (a *attempt) reprobe(change func(p *prove.Probe, b *prove.Probed) claim.Signer) {
	bundletest.Change(a.Log, prove.KindProbed, func(_ int, b *prove.Probed) {
		s, err := claim.Open(a.Bodies[b.Statement], claim.Trust{a.Owner.Probe.KeyID: publicOf(a.Owner.Probe)})
		if err != nil {
			panic(err)
		}
		p, err := prove.DecodeProbe(s.Predicate)
		if err != nil {
			panic(err)
		}
		signer := change(p, b)
		b.Statement = a.Sign(signer, p.Node, claim.DigestOf(nil), prove.ProbePredicate, p)
	})
}

// moreAttacks are on probes and on storage.
var moreAttacks = []attack{
	{"a probe in the tenant's name by the owner's key", bundle.CheckSigner, "keys for probe", func(a *attempt) {
		a.reprobe(func(p *prove.Probe, b *prove.Probed) claim.Signer { return a.Owner.Statement })
	}},
	{"a leak that the tenant's probe found, left out of the entry", bundle.CheckProbe, "the entry says", func(a *attempt) {
		a.reprobe(func(p *prove.Probe, b *prove.Probed) claim.Signer {
			p.Tries[1].Got = prove.Reached
			return a.Owner.Probe
		})
	}},
	{"a leak that the tenant's probe found", bundle.CheckProbe, "reached what it must not", func(a *attempt) {
		a.reprobe(func(p *prove.Probe, b *prove.Probed) claim.Signer {
			p.Tries[1].Got, b.Leaks = prove.Reached, 1
			return a.Owner.Probe
		})
	}},
	{"a probe that reached nothing at all", bundle.CheckProbe, "positive control", func(a *attempt) {
		a.reprobe(func(p *prove.Probe, b *prove.Probed) claim.Signer {
			p.Tries[0].Got = prove.Denied
			return a.Owner.Probe
		})
	}},
	{"a probe of another node", bundle.CheckProbe, "the entry says", func(a *attempt) {
		a.reprobe(func(p *prove.Probe, b *prove.Probed) claim.Signer { b.Node = a.Slots[1].ID(); return a.Owner.Probe })
	}},
	{"nodes handed over on an unguarded fabric", bundle.CheckPosture, "is not guarded", func(a *attempt) {
		for i := range a.Entries {
			if a.Entries[i].Kind == lease.KindDelivered {
				a.Add(fabric.KindPosture, fabric.Postures{Fabric: "roce", Failed: []string{"one master: two were found"}})
				posture := a.Entries[len(a.Entries)-1]
				posture.Time = a.Entries[i].Time
				a.Entries = slices.Insert(a.Entries[:len(a.Entries)-1], i, posture)
				a.Reseal()
				return
			}
		}
	}},
	{"a volume smaller than was sold", bundle.CheckVolume, "the contract sells", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindProvisioned, func(_ int, b *storage.Provisioned) { b.Volume.Spec.CapacityBytes /= 2 })
	}},
	{"a volume with the owner's keys where the tenant's were sold", bundle.CheckVolume, "keys", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindProvisioned, func(_ int, b *storage.Provisioned) { b.Volume.Spec.KeyMode = storage.ServerKeys })
	}},
	{"nodes handed over without their volume", bundle.CheckGrant, "it can't reach volume", func(a *attempt) {
		a.Drop(ofKind(storage.KindGranted))
	}},
	{"access taken from a lease that runs", bundle.CheckGrant, "loses access while it runs", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindRevoked, func(i int, b *storage.Revoked) {
			if i == 0 {
				b.Receipt.Principal = storage.PrincipalOf(a.Lease)
			}
		})
	}},
	{"a revocation that fenced nothing", bundle.CheckRevoked, "the old credential was tried", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindRevoked, func(_ int, b *storage.Revoked) { b.Receipt.Probe = "granted" })
	}},
	{"a lease returned that can still reach its volume", bundle.CheckRevoked, "can still reach volume", func(a *attempt) {
		a.Drop(func(e *ledger.Entry) bool {
			return e.Kind == storage.KindRevoked && strings.Contains(string(e.Body), string(a.Lease)+`"`)
		})
	}},
	{"a volume destroyed with objects left", bundle.CheckErased, "objects are left", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindDestroyed, func(_ int, b *storage.Destroyed) { b.Receipt.ObjectsLeft = 3 })
	}},
	{"crypto-shredding claimed and no key destroyed", bundle.CheckErased, "no key was destroyed", func(a *attempt) {
		bundletest.Change(a.Log, storage.KindDestroyed, func(_ int, b *storage.Destroyed) { b.Receipt.Method = storage.EraseKey })
	}},
}
