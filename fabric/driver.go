package fabric

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/lineage"
	"bulkhead/site"
)

// PortRow is a row for one port.
type PortRow struct {
	Port site.Port `json:"port"`
	Row  Row       `json:"row"`
}

// Change is a plan: the rows that ports of one fabric are to get. It is a value
// that can be printed, compared and tested; nothing is decided when it is
// carried out. Each row replaces all that the port carried.
type Change struct {
	ID     string    `json:"id"` // follows from what is in it
	Fabric string    `json:"fabric"`
	Ports  []PortRow `json:"ports"` // ascending, no port twice
	// Numbering is how whoever made the change numbers the ports (see Numbering): a
	// driver that numbers them otherwise refuses it as a whole (ErrNumbering). Zero: it
	// is not compared.
	Numbering claim.Digest `json:"numbering,omitzero"`
}

// Fence orders writers; see its package.
type Fence = lineage.Fence

// ErrFenced is returned, wrapped in a *lineage.RefusedError, when a newer writer, or
// one of another lineage, has been seen.
var ErrFenced = lineage.ErrFenced

// OwnPort refuses a port that is not of this fabric of a site (ErrUnknownPort).
func OwnPort(s *site.Site, index int, p site.Port) error {
	if int(p) >= s.Ports() || s.FabricOf(p) != index {
		return fmt.Errorf("fabric %s: port %d: %w", s.Fabrics[index].ID, p, ErrUnknownPort)
	}
	return nil
}

// ErrUnknownPort is returned, wrapped, for ports that are not of the fabric.
var ErrUnknownPort = errors.New("no such port in this fabric")

// ErrNumbering is returned, wrapped, when the two ends number a fabric's ports
// differently, as after one of them was configured with another site file.
var ErrNumbering = errors.New("the driver numbers its ports otherwise than the site: give its process the site files that were imported, in that order, and start it again")

// SameNumbering compares how two ends number the ports of a fabric. Zero is an end
// whose devices bring their numbers themselves.
func SameNumbering(fabricID string, a, b claim.Digest) error {
	if a == b || a.IsZero() || b.IsZero() {
		return nil
	}
	return fmt.Errorf("fabric %.80s: %w", fabricID, ErrNumbering)
}

// PortError names one port that a change failed at.
type PortError struct {
	Port  site.Port `json:"port"`
	Error string    `json:"error"`
}

// ApplyReceipt is what the manager says that it did. It is no evidence of what the
// devices hold.
type ApplyReceipt struct {
	Change  string      `json:"change"`
	Applied int         `json:"applied"` // ports now as asked, those that were so before included
	Failed  []PortError `json:"failed,omitempty"`
	Source  string      `json:"source"` // which path wrote: "opensm", "netlink"
}

// Scope is what to read back. A cursor that the driver never gave, as after its
// restart, is answered as 0. A leaf that is not of the fabric is an error.
type Scope struct {
	Since  uint64      `json:"since"`            // cursor of an earlier Observation; 0: everything
	Leaves []site.Leaf `json:"leaves,omitempty"` // nil: all of the fabric
}

// DeviceReading is what one leaf, with the NICs behind its ports, said of
// itself. A leaf that did not answer is listed with Reachable false.
type DeviceReading struct {
	Leaf      site.Leaf `json:"leaf"`
	Reachable bool      `json:"reachable"`
	Source    string    `json:"source"` // which path read: "smp", "kernel+lldp"
	At        time.Time `json:"at"`
	Raw       []byte    `json:"raw,omitempty"` // the device's own bytes; infiniband and ethernet decode them
}

// Observation is a read-back. With Scope.Since 0 it lists every leaf in scope;
// else only those whose tables changed since that cursor and those that did not
// answer: every other leaf in scope answered "unchanged" at At. A leaf that
// answers again after it did not counts as changed, because nobody saw what was
// done to it meanwhile.
type Observation struct {
	Cursor  uint64          `json:"cursor"` // greater than 0; give it as Since next time
	At      time.Time       `json:"at"`
	Fresh   bool            `json:"fresh"` // false: the devices' cache answered, and it proves nothing
	Devices []DeviceReading `json:"devices"`
	// Numbering is as in Capabilities: how the leaves above are numbered.
	Numbering claim.Digest `json:"numbering,omitzero"`
}

// How a driver keeps an older writer out.
const (
	FencedByDevice   = "device"   // the device compares the fence and refuses an older one
	FencedByDeadline = "deadline" // a new writer waits until the old one's calls have ended
)

// Capabilities is what a fabric's devices can do.
type Capabilities struct {
	Fabric    string        `json:"fabric"`
	Family    site.Family   `json:"family"`
	NICTable  int           `json:"nic_table"`  // entries of a NIC's table; 0: none
	LeafTable int           `json:"leaf_table"` // entries of a leaf port's table
	Atomic    string        `json:"atomic"`     // what changes at once: "port", "device"
	Fencing   string        `json:"fencing"`    // FencedByDevice or FencedByDeadline
	Deadline  time.Duration `json:"deadline"`   // longest that one call may take
	Origin    claim.Origin  `json:"origin"`
	// Wakeful: Await tells as well when Posture may say something else than it said last.
	Wakeful bool `json:"wakeful,omitempty"`
	// Numbering is the digest of how the driver numbers the ports of the fabric (see
	// Numbering): a control plane that numbers them otherwise neither reads nor
	// writes by it. Zero: the driver's devices bring their numbers themselves.
	Numbering claim.Digest `json:"numbering,omitzero"`
}

// Driver drives one fabric. Everything but Plan may be called from several
// goroutines at once. fabrictest.Run is what every Driver must pass.
type Driver interface {
	Capabilities(ctx context.Context) (Capabilities, error)

	// Plan returns the change that makes observed into desired. It is pure; the
	// function Plan of this package does it for most.
	Plan(desired []PortRow, observed *Tables) (Change, error)

	// Apply writes a change. It is idempotent. A fence that is not admitted after one
	// that was seen (Fence.Admit) is refused as a whole (ErrFenced), whatever was to be
	// written: an empty change shows a fence to the devices. So is a change that names a port
	// outside the fabric (ErrUnknownPort), that numbers ports otherwise
	// (ErrNumbering), or with a row that fails Row.Check. A
	// device that fails is named in the receipt, not an error.
	Apply(ctx context.Context, c Change, f Fence) (ApplyReceipt, error)

	// Observe reads the devices by another path than Apply wrote. A leaf that
	// does not answer is reported, never left out.
	Observe(ctx context.Context, s Scope) (Observation, error)

	// Await returns nil as soon as Observe with this cursor may list something, also
	// when the cursor is an old one, and the context's error when that ended before. It lets a change be seen before the next look is due. A driver whose devices do
	// not say by themselves that they changed waits for the context.
	Await(ctx context.Context, since uint64) error

	// Lockdown closes ports: they carry nothing, or the quarantine label as a
	// limited member, with enforcement on. It fails closed: an error names what
	// could not be closed, and everything else is.
	Lockdown(ctx context.Context, ports []site.Port, f Fence) error
}
