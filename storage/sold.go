package storage

import (
	"bulkhead/contract"
	"bulkhead/lease"
)

// IDOf names a volume of a contract for ever: contracts and their volumes have
// names of their own, and neither is used again.
func IDOf(contractID, volume string) VolumeID { return VolumeID(contractID + "/" + volume) }

// PrincipalOf is the client that a lease's nodes mount as. Access ends lease by
// lease, so each has a client of its own.
func PrincipalOf(l lease.ID) Principal { return Principal(l) }

// Units in which contracts sell, as SI defines them.
const (
	terabyte = 1_000_000_000_000
	gigabit  = 1_000_000_000 / 8 // in bytes
)

// SpecOf is what a backend is asked for when a contract sells a volume. Keys
// that the contract leaves to the tenant never come near the backend.
func SpecOf(c *contract.Contract, v *contract.Volume) VolumeSpec {
	mode := OwnerKeys
	if v.KeyMode == "tenant" {
		mode = ClientKeys
	}
	return VolumeSpec{
		ID: IDOf(c.ID, v.ID), Tenant: c.Tenant, CapacityBytes: uint64(v.CapacityTB) * terabyte,
		BytesPerSec: uint64(v.BandwidthGbps) * gigabit, IOPS: uint64(v.IOPS), KeyMode: mode,
	}
}
