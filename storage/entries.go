package storage

import (
	"time"

	"bulkhead/claim"
	"bulkhead/lease"
)

// The entry kinds that storage owns. All stand in the scope of the tenant whose
// volume it is.
const (
	KindProvisioned = "storage.provisioned/1"
	KindGranted     = "storage.granted/1"
	KindRevoked     = "storage.revoked/1"
	KindStray       = "storage.stray/1"
	KindDestroyed   = "storage.destroyed/1"
)

// Provisioned says that a volume that a contract sells is there.
type Provisioned struct {
	Contract string       `json:"contract"`
	Volume   Volume       `json:"volume"`
	Origin   claim.Origin `json:"origin"`
}

// Granted says that a lease can reach a volume, as the backend's own list of
// grants shows. The credential's secret is never recorded.
type Granted struct {
	Volume VolumeID     `json:"volume"`
	Lease  lease.ID     `json:"lease"`
	Since  time.Time    `json:"since"` // by the backend's clock
	Origin claim.Origin `json:"origin"`
}

// Revoked says that access has ended, with the backend's receipt.
type Revoked struct {
	Receipt RevokeReceipt `json:"receipt"`
}

// Stray says that read-back shows access that nobody ordered: a grant, or a
// mount without one.
type Stray struct {
	Volume    VolumeID  `json:"volume"`
	Principal Principal `json:"principal"`
	Mounted   bool      `json:"mounted"` // it has the volume open, too
}

// Destroyed says that a volume is gone, with the backend's receipt.
type Destroyed struct {
	Receipt ErasureReceipt `json:"receipt"`
}
