package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/storage"
)

// volumesEvery is how often the backend is asked who can reach what, beside
// after each change.
const volumesEvery = time.Hour

// workVolumes asks the backend for what the plan says of volumes. Every call of a backend
// is idempotent, so what a crash left unrecorded is simply asked for again; what
// a backend is asked follows from what is durable.
func (p *Plane) workVolumes(ctx context.Context, work []book.VolumeWork) {
	if len(work) == 0 || p.w.clock.doubt() != "" {
		return // what a backend destroys is destroyed before it is recorded
	}
	backend, lane := p.devices().Storage, p.asking.lane(laneStorage)
	if backend == nil {
		p.log.Warn("storage is not driven: no backend is connected", "waiting", len(work), "first", work[0].String())
		return
	}
	for _, w := range work {
		p.asking.ask(ctx, w.String(), func(ctx context.Context) handler {
			var command book.Command
			can, err := backend.Capabilities(ctx)
			if err == nil {
				command, err = p.workVolume(ctx, backend, w, can.Origin)
			}
			return func(ctx context.Context) error {
				p.seen.note(func() { delete(p.seen.missing, access{w.Spec.ID, w.Principal}) })
				if p.asking.answered(lane, err) != nil {
					p.log.Warn("storage: not done; it is tried again", "what", w.String(), "why", err.Error())
					return nil
				}
				if command == nil {
					return nil
				}
				return p.carry(ctx, command)
			}
		}, lane)
	}
}

// workVolume does one thing and returns what it comes to.
func (p *Plane) workVolume(ctx context.Context, backend storage.Driver, w book.VolumeWork, origin claim.Origin) (book.Command, error) {
	switch w.Action {
	case book.ProvisionVolume:
		made, err := backend.Provision(ctx, w.Spec)
		if err != nil {
			return nil, err
		}
		return book.RecordVolume{Contract: w.Contract, Volume: made, Origin: origin}, nil
	case book.GrantVolume:
		if _, err := backend.Grant(ctx, w.Spec.ID, w.Principal); err != nil {
			return nil, err
		}
		// The backend's own list shows it, not the word of the call that made it.
		seen, err := backend.Observe(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range seen.Grants {
			if g.Volume == w.Spec.ID && g.Principal == w.Principal {
				return book.RecordGrant{Volume: g.Volume, Lease: lease.ID(g.Principal), Since: g.Since, Origin: origin}, nil
			}
		}
		p.log.Warn("storage: access was given and the list of grants does not show it", "volume", w.Spec.ID, "to", w.Principal)
		return nil, nil
	case book.RevokeVolume:
		receipt, err := backend.Revoke(ctx, w.Spec.ID, w.Principal)
		if err != nil {
			return nil, err
		}
		return book.RecordRevoked{Receipt: receipt}, nil
	case book.DestroyVolume:
		receipt, err := backend.Destroy(ctx, w.Spec.ID)
		if err != nil {
			return nil, err
		}
		return book.RecordDestroyed{Receipt: receipt}, nil
	}
	return nil, nil
}

// Credential asks the backend for what a lease mounts a volume with. Access must
// have been recorded: asking gives nobody any.
func (p *Plane) Credential(ctx context.Context, l lease.ID, v storage.VolumeID) (storage.Credential, error) {
	principal := storage.PrincipalOf(l)
	reached := false
	p.View(func(s *book.State) {
		if volume := s.Volumes[v]; volume != nil {
			access, has := volume.Grants[principal]
			reached = has && !access.Stray
		}
	})
	if !reached {
		return storage.Credential{}, &book.Refusal{Field: "volume", Reason: fmt.Sprintf("lease %s can't reach a volume %.130q", l, string(v))}
	}
	if p.devices().Storage == nil {
		return storage.Credential{}, errors.New("no storage backend is connected")
	}
	return p.devices().Storage.Grant(ctx, v, principal)
}

// access is one principal that can reach a volume.
type access struct {
	volume    storage.VolumeID
	principal storage.Principal
}

// askVolumes asks the backend from time to time who can reach the tenants' volumes.
func (p *Plane) askVolumes(ctx context.Context) {
	backend, s, now := p.devices().Storage, p.w.state, p.config.Clock.Now()
	lane := p.asking.lane(laneStorage)
	if backend == nil || len(s.Volumes) == 0 || s.Control.Adopted || now.Sub(p.seen.volumes) < volumesEvery || !p.asking.idle(lane) {
		return
	}
	p.asking.ask(ctx, "who can reach volumes", func(ctx context.Context) handler {
		seen, err := backend.Observe(ctx)
		return func(ctx context.Context) error {
			if p.asking.answered(lane, err) != nil {
				p.log.Warn("storage was not read back", "why", err.Error())
				return nil
			}
			p.seen.volumes = now
			return p.judgeVolumes(ctx, seen, now)
		}
	}, lane)
}

// judgeVolumes compares who can reach the tenants' volumes with who may.
func (p *Plane) judgeVolumes(ctx context.Context, seen storage.Observation, now time.Time) error {
	s := p.w.state
	granted := map[access]bool{}
	for _, list := range [][]storage.Grant{seen.Grants, seen.Mounts} {
		for _, g := range list {
			v := s.Volumes[g.Volume]
			if v == nil || !v.Destroyed.IsZero() || s.ExpectsAccess(v, g.Principal, now) {
				continue
			}
			mounted := slices.ContainsFunc(seen.Mounts, func(m storage.Grant) bool { return m.Volume == g.Volume && m.Principal == g.Principal })
			if err := p.carry(ctx, book.RecordStray{Volume: g.Volume, Principal: g.Principal, Mounted: mounted}); err != nil {
				return err
			}
		}
	}
	for _, g := range seen.Grants {
		granted[access{g.Volume, g.Principal}] = true
	}
	// Access that was taken behind our back is given again: a tenant that can't
	// reach its data is down.
	p.seen.note(func() {
		clear(p.seen.missing)
		for _, id := range s.VolumeIDs() {
			for principal, a := range s.Volumes[id].Grants {
				if to := (access{id, principal}); !a.Stray && !granted[to] {
					p.log.Warn("storage: a grant is gone and is made again", "volume", id, "to", principal)
					p.seen.missing[to] = true
				}
			}
		}
	})
	return nil
}

// missingGrants plans to make grants again that are gone and are not about to be ended:
// one that is made after its end was recorded would be a stranger's.
func (v *seen) missingGrants(s *book.State, planned []book.VolumeWork) (work []book.VolumeWork) {
	ends := func(to access) bool {
		return slices.ContainsFunc(planned, func(w book.VolumeWork) bool {
			return w.Action != book.GrantVolume && w.Spec.ID == to.volume && (w.Principal == to.principal || w.Principal == "")
		})
	}
	for _, id := range s.VolumeIDs() {
		for _, principal := range slices.Sorted(maps.Keys(s.Volumes[id].Grants)) {
			if a := s.Volumes[id].Grants[principal]; !a.Stray && v.missing[access{id, principal}] && !ends(access{id, principal}) {
				work = append(work, book.VolumeWork{Action: book.GrantVolume, Contract: s.Volumes[id].Contract, Spec: s.Volumes[id].Provisioned.Spec, Principal: principal})
			}
		}
	}
	return work
}
