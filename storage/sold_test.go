package storage

import (
	"testing"

	"bulkhead/contract"
)

// What a contract sells of a volume is what the backend is asked for: bandwidth in
// gigabits a second, as its field says, and operations a second.
func TestWhatIsSoldIsAskedFor(t *testing.T) {
	c := &contract.Contract{ID: "c", Tenant: "acme"}
	got := SpecOf(c, &contract.Volume{ID: "v", CapacityTB: 2, BandwidthGbps: 20, IOPS: 500_000, KeyMode: "tenant"})
	want := VolumeSpec{ID: "c/v", Tenant: "acme", CapacityBytes: 2_000_000_000_000, BytesPerSec: 2_500_000_000, IOPS: 500_000, KeyMode: ClientKeys}
	if got != want {
		t.Errorf("asked for %+v, expected %+v", got, want)
	}
}
