package book_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/storage"
)

const datasets, scratch = storage.VolumeID("flagship/datasets"), storage.VolumeID("tidewater/scratch")

// specOf is a volume as its contract sells it.
func (s *stage) specOf(id storage.VolumeID) (string, storage.VolumeSpec) {
	for k, c := range s.Contracts {
		for i := range c.Current().Storage {
			if storage.IDOf(k, c.Current().Storage[i].ID) == id {
				return k, storage.SpecOf(c.Current(), &c.Current().Storage[i])
			}
		}
	}
	panic("nobody sells " + string(id))
}

func (s *stage) made(id storage.VolumeID) book.RecordVolume {
	k, spec := s.specOf(id)
	return book.RecordVolume{Contract: k, Volume: storage.Volume{Spec: spec, Created: s.now, Backend: "sim:/" + string(id)}, Origin: claim.Simulated}
}

func (s *stage) revoked(id storage.VolumeID, p storage.Principal) book.RecordRevoked {
	return book.RecordRevoked{Receipt: storage.RevokeReceipt{Volume: id, Principal: p, Revoked: s.now, EndedMounts: 1, Probe: storage.Denied, Origin: claim.Simulated}}
}

func (s *stage) destroyed(id storage.VolumeID) book.RecordDestroyed {
	_, spec := s.specOf(id)
	return book.RecordDestroyed{Receipt: storage.ErasureReceipt{Volume: id, Tenant: spec.Tenant, Destroyed: s.now, Method: storage.EraseObjects, Reopen: storage.Denied, Origin: claim.Simulated}}
}

func TestVolumesRefuse(t *testing.T) {
	grant := func(id storage.VolumeID, to lease.ID) func(s *stage) book.Command {
		return func(s *stage) book.Command {
			return book.RecordGrant{Volume: id, Lease: to, Since: s.now, Origin: claim.Simulated}
		}
	}
	make := func(change func(c *book.RecordVolume)) func(s *stage) book.Command {
		return func(s *stage) book.Command { c := s.made(scratch); change(&c); return c }
	}
	refuseAll(t, []refused{
		{"of no contract", atContracts, make(func(c *book.RecordVolume) { c.Contract = "x" }), "contract", "no contract"},
		{"that nobody sold", atContracts, make(func(c *book.RecordVolume) { c.Volume.Spec.ID = "tidewater/other" }), "volume", "sells no volume"},
		{"of another contract", atContracts, make(func(c *book.RecordVolume) { c.Contract = "flagship" }), "volume", "sells no volume"},
		{"smaller than was sold", atContracts, make(func(c *book.RecordVolume) { c.Volume.Spec.CapacityBytes /= 2 }), "volume", "the contract sells"},
		{"that is there", atRunning, make(func(*book.RecordVolume) {}), "", ""},
		{"access to no volume", atContracts, grant(scratch, "tidewater/w1"), "volume", "no volume"},
		{"access of no lease", atRunning, grant(scratch, "tidewater/w9"), "lease", "no lease"},
		{"access that is known", atRunning, grant(scratch, "tidewater/w1"), "", ""},
		{"access of another tenant", atRunning, grant(scratch, "flagship/t1"), "lease", "may not reach"},
		{"access of a lease to come", atRunning, grant(datasets, "flagship/t3"), "lease", "may not reach"},
		{"access that read-back does not show", atVolume, func(s *stage) book.Command {
			for id := range s.Volumes {
				l := lease.ID("flagship/t1")
				if id == scratch {
					l = "tidewater/w1"
				}
				return book.RecordGrant{Volume: id, Lease: l}
			}
			return nil
		}, "since", "does not show it"},
		{"stray access to no volume", atContracts, func(*stage) book.Command { return book.RecordStray{Volume: "x"} }, "volume", "no volume"},
		{"access that was ordered called stray", atRunning, func(*stage) book.Command {
			return book.RecordStray{Volume: scratch, Principal: "tidewater/w1"}
		}, "", ""},
		{"revoked from no volume", atContracts, func(s *stage) book.Command { return s.revoked("x", "y") }, "volume", "no volume"},
		{"revoked and never given", atRunning, func(s *stage) book.Command { return s.revoked(scratch, "y") }, "", ""},
		{"revoked from a lease that runs", atRunning, func(s *stage) book.Command { return s.revoked(scratch, "tidewater/w1") }, "lease", "runs and keeps"},
		{"revoked, and the old credential still works", atReturning, func(s *stage) book.Command {
			c := s.revoked(scratch, "tidewater/w1")
			c.Receipt.Probe = "granted"
			return c
		}, "receipt", "the old credential"},
		{"destroyed and none", atContracts, func(*stage) book.Command { return book.RecordDestroyed{} }, "volume", "no volume"},
		{"destroyed with objects left", atClosed, func(s *stage) book.Command {
			c := s.destroyed(scratch)
			c.Receipt.ObjectsLeft = 1
			return c
		}, "receipt", "1 objects are left"},
		{"destroyed while it is used", atRunning, func(s *stage) book.Command { return s.destroyed(datasets) }, "volume", "is in use"},
		{"destroyed before its retention is over", atClosed, func(s *stage) book.Command { return s.destroyed(scratch) }, "volume", "is in use"},
		{"destroyed twice", atDestroyed, func(s *stage) book.Command { return s.destroyed(scratch) }, "volume", "no volume"},
		{"sold again after it was destroyed", atDestroyed, offering("tidewater", func(c *contract.Contract) { c.Version = 3 }, nil), "contract", "is closed"},
	})
}

// A volume's life: made, reached, found open to a stranger, closed, destroyed.
func TestVolume(t *testing.T) {
	s := on(t, atContracts)
	l, _ := s.LeaseByID("tidewater/w1")
	if missing := s.MissingVolumes(l, l.Begin); len(missing) != 1 || missing[0] != scratch {
		t.Fatalf("missing %v", missing)
	}
	s.now = l.Begin.Add(-book.Lead)
	if work := s.planned(t); !strings.Contains(work, "provision tidewater/scratch") {
		t.Errorf("nobody makes it: %s", work)
	}
	if got := kinds(s.do(t, s.made(scratch))); got != "tenant/tidewater storage.provisioned/1" {
		t.Errorf("a volume is %s", got)
	}
	if work := s.planned(t); !strings.Contains(work, "grant tidewater/scratch, tidewater/w1") {
		t.Errorf("nobody is let in: %s", work)
	}
	if !s.ExpectsAccess(s.Volumes[scratch], "tidewater/w1", s.now) || s.ExpectsAccess(s.Volumes[scratch], "flagship/t1", s.now) {
		t.Error("access is expected of somebody else")
	}
	s.do(t, book.RecordGrant{Volume: scratch, Lease: l.ID, Since: s.now, Origin: claim.Simulated})
	if len(s.MissingVolumes(l, l.Begin)) != 0 || len(s.Reached(l)) != 1 {
		t.Error("it is not reached")
	}
	if got := kinds(s.do(t, book.RecordStray{Volume: scratch, Principal: "maintenance", Mounted: true})); got != "tenant/tidewater storage.stray/1" {
		t.Errorf("stray access is %s", got)
	}
	if work := s.planned(t); !strings.Contains(work, "revoke tidewater/scratch, maintenance") || strings.Contains(work, "revoke tidewater/scratch, tidewater/w1") {
		t.Errorf("the wrong one is shut out: %s", work)
	}
	s.do(t, s.revoked(scratch, "maintenance"))
	s.now = l.End
	if work := s.planned(t); !strings.Contains(work, "revoke tidewater/scratch, tidewater/w1") {
		t.Errorf("access outlives the lease: %s", work)
	}
	s.later(book.VolumeRetention)
	if work := s.planned(t); strings.Contains(work, "destroy") {
		t.Errorf("it is destroyed while somebody reaches it: %s", work)
	}
	s.now = l.End
	s.do(t, book.ReturnLease{Lease: l.ID})
	s.do(t, s.revoked(scratch, "tidewater/w1"))
	if work := s.planned(t); strings.Contains(work, "destroy tidewater/scratch") {
		t.Errorf("it is destroyed at once: %s", work)
	}
	s.later(book.VolumeRetention)
	if work := s.planned(t); !strings.Contains(work, "destroy tidewater/scratch") {
		t.Errorf("it stays: %s", work)
	}
	s.fold(t, drafts(s, book.EngageBrake{Cause: "x", By: operator})...)
	if work := s.planned(t); strings.Contains(work, "destroy") {
		t.Errorf("it is destroyed with the brake engaged: %s", work)
	}
	s.fold(t, drafts(s, book.ReleaseBrake{By: approver, Reason: "x"})...)
	s.do(t, s.destroyed(scratch))
	if v := s.Volumes[scratch]; !v.Destroyed.Equal(s.now) || strings.Contains(s.planned(t), string(scratch)) {
		t.Errorf("%+v", v)
	}
}

// planned is what Next has the storage do.
func (s *stage) planned(t *testing.T) string {
	t.Helper()
	before := hashOf(t, s.State)
	p := book.Next(s.State, blind{s.State}, s.now)
	if hashOf(t, s.State) != before {
		t.Fatal("planning has changed the state")
	}
	var out []string
	for _, w := range p.Volumes {
		out = append(out, w.String())
	}
	return strings.Join(out, "; ")
}

func TestVolumesFold(t *testing.T) {
	for name, apply := range map[string]func(s *stage) error{
		"provisioned for no contract": func(s *stage) error {
			c := s.made(scratch)
			return s.apply("tenant/tidewater", storage.KindProvisioned, storage.Provisioned{Contract: "x", Volume: c.Volume})
		},
		"provisioned in another tenant's scope": func(s *stage) error {
			c := s.made(scratch)
			return s.apply("tenant/flagship", storage.KindProvisioned, storage.Provisioned{Contract: "tidewater", Volume: c.Volume})
		},
		"granted to another tenant's lease": func(s *stage) error {
			return s.apply("tenant/flagship", storage.KindGranted, storage.Granted{Volume: scratch, Lease: "flagship/t1", Since: s.now})
		},
		"granted and none": func(s *stage) error {
			return s.apply("tenant/tidewater", storage.KindGranted, storage.Granted{Volume: "x", Lease: "tidewater/w1"})
		},
		"stray and none": func(s *stage) error {
			return s.apply("tenant/tidewater", storage.KindStray, storage.Stray{Volume: "x"})
		},
		"revoked and none": func(s *stage) error {
			return s.apply("tenant/tidewater", storage.KindRevoked, storage.Revoked{})
		},
		"destroyed and none": func(s *stage) error {
			return s.apply("tenant/tidewater", storage.KindDestroyed, storage.Destroyed{})
		},
	} {
		if apply(on(t, atRunning)) == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
}
