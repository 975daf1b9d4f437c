package opensm

import (
	"context"
	"time"
)

// Reader asks the devices themselves, by a path that OpenSM has no part in.
type Reader interface {
	// Read captures leaves, named by switch GUID, in the framing of
	// fabric/infiniband: one capture for each that was asked, in that order. A leaf
	// that does not answer is a capture without Raw. The error is for what concerns
	// all: no way into the fabric.
	Read(ctx context.Context, leaves []uint64) ([]Capture, error)

	// Guard reads who manages the subnet and how its ports are protected.
	Guard(ctx context.Context) (Guard, error)
}

// Capture is what one leaf, with the HCAs behind its ports, said of itself.
type Capture struct {
	Leaf   uint64    // switch GUID
	At     time.Time // when the last answer came in
	Raw    []byte    // nil: it did not answer
	Reason string    // why not

	// Again is when it is to be read again, because what has changed lately may not be
	// all; zero: whenever it is.
	Again time.Time

	LeafTable int // P_Keys that a switch port holds
	NICTable  int // least that an HCA behind it holds; 0: there is none
}

// Guard is what stands between a host and the subnet's management.
type Guard struct {
	At       time.Time
	Managers []SM
	Ports    []PortGuard
	// Strangers are adapters that the inventory does not know, or knows elsewhere;
	// Counted says that they were looked for.
	Strangers []Stranger
	Counted   bool
	Silent    []string // what did not answer, in words: unknown is not guarded
	KeptIn    []string // adapters that did not answer, but whose leaves hold them to their keys
}

// SM is a subnet manager that answered.
type SM struct {
	PortGUID uint64
	Priority uint8
	Master   bool
	State    string
	SMKey    uint64 // as told to a reader with the M_Key; 0: it was not told
}

// PortGuard is how one port guards its tables.
type PortGuard struct {
	GUID   uint64 // port GUID; of a switch its own
	Switch bool
	MKey   bool // a key is set
	Level  int  // protection level, 0 to 3
	Lease  int  // seconds; 0: for ever
}
