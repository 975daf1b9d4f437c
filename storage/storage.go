// Package storage is where data rests: volumes, who may reach them, and the
// Driver that the backend is driven through. Volumes live longer than the nodes
// that mount them, so a leak hurts most here.
//
// The package is pure: no clock, no files, no network.
package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/claim"
)

// VolumeID names a volume. Ids are given by the client and never reused.
type VolumeID string

// KeyMode says whose keys encrypt a volume, which is what destroying a key is
// worth.
type KeyMode string

// The key modes.
const (
	OwnerKeys  KeyMode = "owner"  // keys under the servers: they protect lost disks, nothing more
	ServerKeys KeyMode = "server" // an external key manager; servers in use see plain text
	ClientKeys KeyMode = "client" // the tenant encrypts before it writes
)

// Valid reports whether m is a known key mode.
func (m KeyMode) Valid() bool { return m == OwnerKeys || m == ServerKeys || m == ClientKeys }

// VolumeSpec is what a volume is to be.
type VolumeSpec struct {
	ID            VolumeID `json:"id"`
	Tenant        string   `json:"tenant"`
	CapacityBytes uint64   `json:"capacity_bytes"`
	BytesPerSec   uint64   `json:"bytes_per_second"` // sold bandwidth; 0: not sold
	IOPS          uint64   `json:"iops,omitempty"`   // sold operations a second; 0: not sold
	KeyMode       KeyMode  `json:"key_mode"`
}

// String is what a specification asks for, for a person.
func (s *VolumeSpec) String() string {
	return fmt.Sprintf("%d bytes at %d bytes/s and %d operations/s with %s keys", s.CapacityBytes, s.BytesPerSec, s.IOPS, s.KeyMode)
}

// MaxCapacity is the largest volume, 1 EiB.
const MaxCapacity = 1 << 60

// Check refuses a specification that no backend may be asked for.
func (s *VolumeSpec) Check() error {
	if err := CheckName(string(s.ID)); err != nil {
		return fmt.Errorf("volume: id: %w", err)
	}
	if err := CheckName(s.Tenant); err != nil {
		return fmt.Errorf("volume %s: tenant: %w", s.ID, err)
	}
	if s.CapacityBytes == 0 || s.CapacityBytes > MaxCapacity {
		return fmt.Errorf("volume %s: capacity %d bytes, expected 1 to %d", s.ID, s.CapacityBytes, uint64(MaxCapacity))
	}
	if !s.KeyMode.Valid() {
		return fmt.Errorf("volume %s: key mode %.40q: expected owner, server or client", s.ID, string(s.KeyMode))
	}
	return nil
}

// CheckName accepts 1 to 130 lower-case letters, digits and inner hyphens, dots
// or slashes: names end in paths and in client names of backends.
func CheckName(name string) error {
	if name == "" || len(name) > 130 || strings.Contains(name, "..") || strings.Contains(name, "//") {
		return fmt.Errorf("%.100q: expected 1 to 130 characters", name)
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && ((c != '-' && c != '.' && c != '/') || i == 0 || i == len(name)-1) {
			return fmt.Errorf("%.100q: expected lower-case letters, digits and inner hyphens, dots or slashes", name)
		}
	}
	return nil
}

// Volume is a volume as the backend has it.
type Volume struct {
	Spec    VolumeSpec `json:"spec"`
	Created time.Time  `json:"created"`
	Backend string     `json:"backend"` // what holds it, in the backend's own words
}

// Principal is who is granted access: a lease's client name.
type Principal string

// Grant is access that is live.
type Grant struct {
	Volume    VolumeID  `json:"volume"`
	Principal Principal `json:"principal"`
	Since     time.Time `json:"since"`
}

// Credential is what a principal mounts with. The secret never enters the
// ledger.
type Credential struct {
	Grant  Grant  `json:"grant"`
	Path   string `json:"path"`
	Secret string `json:"secret"`
}

// RevokeReceipt says that a grant is gone and that its live mounts were ended: taking
// a credential away does not end a mount that is open.
type RevokeReceipt struct {
	Volume      VolumeID     `json:"volume"`
	Principal   Principal    `json:"principal"`
	Revoked     time.Time    `json:"revoked"`
	EndedMounts int          `json:"fenced_mounts"`
	Probe       string       `json:"probe"` // what the old credential got when it was tried: must be Denied
	Origin      claim.Origin `json:"origin"`
}

// Denied is the outcome of a probe that failed as it must.
const Denied = "denied"

// CheckRevoked refuses a receipt that does not show that access ended.
func (r *RevokeReceipt) CheckRevoked(v VolumeID, p Principal) error {
	switch {
	case r.Volume != v || r.Principal != p:
		return fmt.Errorf("receipt is of %s on %s, expected %s on %s", r.Principal, r.Volume, p, v)
	case r.Revoked.IsZero():
		return errors.New("receipt has no time")
	case r.Probe != Denied:
		return fmt.Errorf("the old credential was tried and got %.40q, expected %q", r.Probe, Denied)
	case !r.Origin.Valid():
		return fmt.Errorf("receipt has origin %.40q", string(r.Origin))
	}
	return nil
}

// Usage is what a volume holds.
type Usage struct {
	Volume  VolumeID  `json:"volume"`
	At      time.Time `json:"at"`
	Bytes   uint64    `json:"bytes"`
	Objects uint64    `json:"objects"`
	Mounts  int       `json:"mounts"` // live ones
}

// ErasureReceipt says that a volume is destroyed.
type ErasureReceipt struct {
	Volume       VolumeID     `json:"volume"`
	Tenant       string       `json:"tenant"`
	Destroyed    time.Time    `json:"destroyed"`
	Method       string       `json:"method"` // honest: EraseObjects or EraseKey
	ObjectsLeft  uint64       `json:"objects_left"`
	KeyDestroyed bool         `json:"key_destroyed"`
	Reopen       string       `json:"reopen"` // what opening it again got: must be Denied
	Origin       claim.Origin `json:"origin"`
}

// How a volume is erased.
const (
	EraseObjects = "objects deleted"             // the disks under it still hold what they held until rewritten
	EraseKey     = "key destroyed, then deleted" // crypto-shredding
)

// Check refuses a receipt that does not show that a volume is gone. Crypto-
// shredding is a claim only with a destroyed key.
func (r *ErasureReceipt) Check(v VolumeID) error {
	switch {
	case r.Volume != v:
		return fmt.Errorf("receipt is of volume %s, expected %s", r.Volume, v)
	case r.Destroyed.IsZero():
		return errors.New("receipt has no time")
	case r.ObjectsLeft != 0:
		return fmt.Errorf("%d objects are left", r.ObjectsLeft)
	case r.Reopen != Denied:
		return fmt.Errorf("opening it again got %.40q, expected %q", r.Reopen, Denied)
	case r.Method != EraseObjects && r.Method != EraseKey:
		return fmt.Errorf("method %.60q is not known", r.Method)
	case r.Method == EraseKey && !r.KeyDestroyed:
		return errors.New("it claims crypto-shredding, and no key was destroyed")
	case !r.Origin.Valid():
		return fmt.Errorf("receipt has origin %.40q", string(r.Origin))
	}
	return nil
}

// Observation is what the backend holds, read by another path than it is
// written: volumes and live grants in the order of their names.
type Observation struct {
	At      time.Time `json:"at"`
	Volumes []Volume  `json:"volumes"`
	Grants  []Grant   `json:"grants"`
	Mounts  []Grant   `json:"mounts"` // open ones; one without a grant is a leak
}

// Capabilities is what a backend can do.
type Capabilities struct {
	Backend  string        `json:"backend"`
	KeyModes []KeyMode     `json:"key_modes"`
	Deadline time.Duration `json:"deadline"` // longest that one call may take
	Origin   claim.Origin  `json:"origin"`
}

// Errors, wrapped by drivers.
var (
	ErrNoVolume  = errors.New("no such volume")
	ErrDifferent = errors.New("a volume of that id exists and is another")
	ErrGranted   = errors.New("the volume is still granted")
	ErrDestroyed = errors.New("the volume was destroyed; its id is not used again")
)

// Driver drives one backend. storagetest.Run is what every Driver must pass.
// All calls are idempotent.
type Driver interface {
	Capabilities(ctx context.Context) (Capabilities, error)
	// Provision makes a volume. The same specification again returns it; another
	// under the same id is ErrDifferent, a destroyed one ErrDestroyed.
	Provision(ctx context.Context, spec VolumeSpec) (Volume, error)
	Grant(ctx context.Context, v VolumeID, p Principal) (Credential, error)
	// Revoke returns only when live mounts have ended and the old credential was
	// tried and denied. Revoking what is not granted succeeds.
	Revoke(ctx context.Context, v VolumeID, p Principal) (RevokeReceipt, error)
	Usage(ctx context.Context, v VolumeID) (Usage, error)
	// Destroy returns only when no object is left. A volume that is granted is
	// refused (ErrGranted). Destroying it again returns the same receipt.
	Destroy(ctx context.Context, v VolumeID) (ErasureReceipt, error)
	Observe(ctx context.Context) (Observation, error)
}
