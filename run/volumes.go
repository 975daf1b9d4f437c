package run

import (
	"context"
	"errors"
	"fmt"
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

// workVolumes carries out what the book says of volumes. Every call of a backend
// is idempotent, so what a crash left unrecorded is simply asked for again; what
// a backend is asked follows from what is durable.
func (p *Plane) workVolumes(ctx context.Context, work []book.VolumeWork) error {
	backend := p.config.Devices.Storage
	if backend == nil {
		p.log.Warn("storage is not driven: no backend is connected", "waiting", len(work), "first", work[0].String())
		return nil
	}
	if p.w.clock.doubt() != "" {
		return nil // what a backend destroys is destroyed before it is recorded
	}
	if err := p.w.flush(ctx); err != nil {
		return err
	}
	can, err := backend.Capabilities(ctx)
	if err != nil {
		p.log.Warn("storage does not answer", "why", err.Error())
		return nil
	}
	for _, w := range work {
		command, err := p.workVolume(ctx, backend, w, can.Origin)
		if err != nil {
			p.log.Warn("storage: not done; it is tried again", "what", w.String(), "why", err.Error())
			continue
		}
		if command == nil {
			continue
		}
		if err := p.carry(ctx, command); err != nil {
			return err
		}
	}
	return nil
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
	if p.config.Devices.Storage == nil {
		return storage.Credential{}, errors.New("no storage backend is connected")
	}
	return p.config.Devices.Storage.Grant(ctx, v, principal)
}

// observeVolumes compares who can reach the tenants' volumes with who may.
func (p *Plane) observeVolumes(ctx context.Context, now time.Time) error {
	backend, s := p.config.Devices.Storage, p.w.state
	if backend == nil || len(s.Volumes) == 0 || s.Control.Adopted || now.Sub(p.seen.volumes) < volumesEvery {
		return nil
	}
	seen, err := backend.Observe(ctx)
	if err != nil {
		p.log.Warn("storage was not read back", "why", err.Error())
		return nil
	}
	p.seen.volumes = now
	type access struct {
		volume    storage.VolumeID
		principal storage.Principal
	}
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
	for _, id := range s.VolumeIDs() {
		for principal, a := range s.Volumes[id].Grants {
			if a.Stray || granted[access{id, principal}] {
				continue
			}
			p.log.Warn("storage: a grant is gone and is made again", "volume", id, "to", principal)
			if _, err := backend.Grant(ctx, id, principal); err != nil {
				p.log.Warn("storage: not granted again", "volume", id, "to", principal, "why", err.Error())
			}
		}
	}
	return nil
}
