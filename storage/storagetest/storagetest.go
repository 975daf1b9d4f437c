// Package storagetest is what every storage.Driver must pass.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"bulkhead/lab/drivertest"
	"bulkhead/storage"
)

// Fixture is a driver without volumes, and a tenant's end of it.
type Fixture struct {
	Driver storage.Driver
	// Mount opens a mount as a principal and writes bytes through it; an error
	// means that access was denied.
	Mount func(v storage.VolumeID, p storage.Principal, write uint64) error
}

// Run puts a driver to every demand, each on a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) *Fixture) { drivertest.Run(t, demands, open) }

// demands are what every driver must meet.
var demands = []drivertest.Requirement[*Fixture]{
	{Name: "capabilities", Holds: capabilities},
	{Name: "a volume is made once", Holds: provisions},
	{Name: "bad specifications are refused", Holds: refuses},
	{Name: "only who is granted gets in", Holds: grants},
	{Name: "revoking fences live mounts", Holds: revokes},
	{Name: "a volume in use is not destroyed", Holds: keeps},
	{Name: "a destroyed volume is gone for good", Holds: destroys},
	{Name: "what is not there is named", Holds: missing},
	{Name: "an ended context is obeyed", Holds: ended},
}

var spec = storage.VolumeSpec{ID: "flagship-scratch", Tenant: "flagship", CapacityBytes: 1 << 40, BytesPerSec: 1 << 31, IOPS: 500_000, KeyMode: storage.OwnerKeys}

const us, them = storage.Principal("flagship-l1"), storage.Principal("tidewater-l1")

func capabilities(ctx context.Context, f *Fixture) error {
	c, err := f.Driver.Capabilities(ctx)
	if err == nil && (c.Backend == "" || len(c.KeyModes) == 0 || c.Deadline <= 0 || !c.Origin.Valid()) {
		err = fmt.Errorf("%+v: expected a backend, key modes, a deadline and an origin", c)
	}
	return err
}

func provisions(ctx context.Context, f *Fixture) error {
	first, err := f.Driver.Provision(ctx, spec)
	if err != nil {
		return err
	}
	if again, err := f.Driver.Provision(ctx, spec); err != nil || !reflect.DeepEqual(again, first) {
		return fmt.Errorf("the same volume again: %+v, error %w; expected %+v", again, err, first)
	}
	for _, change := range []func(*storage.VolumeSpec){
		func(s *storage.VolumeSpec) { s.CapacityBytes++ }, func(s *storage.VolumeSpec) { s.BytesPerSec++ }, func(s *storage.VolumeSpec) { s.IOPS++ },
	} {
		other := spec
		change(&other)
		if _, err := f.Driver.Provision(ctx, other); !errors.Is(err, storage.ErrDifferent) {
			return fmt.Errorf("another volume of the same id, %s: %v, expected ErrDifferent", &other, err)
		}
	}
	o, err := f.Driver.Observe(ctx)
	if err == nil && (len(o.Volumes) != 1 || o.Volumes[0].Spec != spec || len(o.Grants)+len(o.Mounts) != 0) {
		err = fmt.Errorf("observed %+v", o)
	}
	return err
}

func refuses(ctx context.Context, f *Fixture) error {
	for name, change := range map[string]func(*storage.VolumeSpec){
		"no id": func(s *storage.VolumeSpec) { s.ID = "" }, "path": func(s *storage.VolumeSpec) { s.ID = "../etc" },
		"capital": func(s *storage.VolumeSpec) { s.ID = "Vol" }, "no tenant": func(s *storage.VolumeSpec) { s.Tenant = "" },
		"no capacity": func(s *storage.VolumeSpec) { s.CapacityBytes = 0 }, "absurd": func(s *storage.VolumeSpec) { s.CapacityBytes = 1 << 63 },
		"keys": func(s *storage.VolumeSpec) { s.KeyMode = "none" },
	} {
		bad := spec
		change(&bad)
		if _, err := f.Driver.Provision(ctx, bad); err == nil {
			return fmt.Errorf("%s: accepted", name)
		}
	}
	return nil
}

func grants(ctx context.Context, f *Fixture) error {
	if _, err := f.Driver.Provision(ctx, spec); err != nil {
		return err
	}
	first, err := f.Driver.Grant(ctx, spec.ID, us)
	if err != nil {
		return err
	}
	if again, err := f.Driver.Grant(ctx, spec.ID, us); err != nil || again != first {
		return fmt.Errorf("the same grant again differs, error %w", err)
	}
	if first.Secret == "" || first.Path == "" || first.Grant.Volume != spec.ID || first.Grant.Principal != us {
		return errors.New("a credential without path, secret or grant")
	}
	if err := f.Mount(spec.ID, us, 10<<20); err != nil {
		return fmt.Errorf("who was granted: %w", err)
	}
	if err := f.Mount(spec.ID, them, 1); err == nil {
		return errors.New("who was not granted got in")
	}
	u, err := f.Driver.Usage(ctx, spec.ID)
	if err == nil && (u.Bytes != 10<<20 || u.Objects == 0 || u.Mounts != 1) {
		err = fmt.Errorf("usage %+v", u)
	}
	return err
}

func revokes(ctx context.Context, f *Fixture) error {
	if err := grants(ctx, f); err != nil {
		return err
	}
	r, err := f.Driver.Revoke(ctx, spec.ID, us)
	if err != nil {
		return err
	}
	if err := r.CheckRevoked(spec.ID, us); err != nil {
		return err
	}
	if r.EndedMounts != 1 {
		return fmt.Errorf("%d mounts fenced, expected 1", r.EndedMounts)
	}
	if err := f.Mount(spec.ID, us, 1); err == nil {
		return errors.New("the old credential still gets in")
	}
	o, err := f.Driver.Observe(ctx)
	if err != nil || len(o.Grants)+len(o.Mounts) != 0 {
		return fmt.Errorf("after revoking: %d grants, %d mounts, error %w", len(o.Grants), len(o.Mounts), err)
	}
	if r, err = f.Driver.Revoke(ctx, spec.ID, us); err != nil || r.EndedMounts != 0 {
		return fmt.Errorf("again: %d mounts fenced, error %w", r.EndedMounts, err)
	}
	return r.CheckRevoked(spec.ID, us)
}

func keeps(ctx context.Context, f *Fixture) error {
	if err := grants(ctx, f); err != nil {
		return err
	}
	if _, err := f.Driver.Destroy(ctx, spec.ID); !errors.Is(err, storage.ErrGranted) {
		return fmt.Errorf("destroyed while granted: %v, expected ErrGranted", err)
	}
	u, err := f.Driver.Usage(ctx, spec.ID)
	if err == nil && u.Bytes == 0 {
		err = errors.New("what was written is gone")
	}
	return err
}

func destroys(ctx context.Context, f *Fixture) error {
	if err := revokes(ctx, f); err != nil {
		return err
	}
	first, err := f.Driver.Destroy(ctx, spec.ID)
	if err != nil {
		return err
	}
	if err := first.Check(spec.ID); err != nil {
		return err
	}
	if first.Tenant != spec.Tenant {
		return fmt.Errorf("the receipt is tenant %q's", first.Tenant)
	}
	if again, err := f.Driver.Destroy(ctx, spec.ID); err != nil || again != first {
		return fmt.Errorf("again: %+v, error %w; expected %+v", again, err, first)
	}
	if _, err := f.Driver.Provision(ctx, spec); !errors.Is(err, storage.ErrDestroyed) {
		return fmt.Errorf("its id is used again: %v, expected ErrDestroyed", err)
	}
	if err := f.Mount(spec.ID, us, 1); err == nil {
		return errors.New("it can still be mounted")
	}
	o, err := f.Driver.Observe(ctx)
	if err == nil && slices.ContainsFunc(o.Volumes, func(v storage.Volume) bool { return v.Spec.ID == spec.ID }) {
		err = errors.New("it is still listed")
	}
	return err
}

func missing(ctx context.Context, f *Fixture) error {
	_, grant := f.Driver.Grant(ctx, "none", us)
	_, revoke := f.Driver.Revoke(ctx, "none", us)
	_, usage := f.Driver.Usage(ctx, "none")
	_, destroy := f.Driver.Destroy(ctx, "none")
	for i, err := range []error{grant, revoke, usage, destroy} {
		if !errors.Is(err, storage.ErrNoVolume) {
			return fmt.Errorf("call %d: %v, expected ErrNoVolume", i, err)
		}
	}
	return nil
}

func ended(ctx context.Context, f *Fixture) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Driver.Provision(over, spec); err == nil {
		return errors.New("provision in a context that has ended gave no error")
	}
	o, err := f.Driver.Observe(ctx)
	if err == nil && len(o.Volumes) > 0 {
		err = errors.New("it was made all the same")
	}
	return err
}
