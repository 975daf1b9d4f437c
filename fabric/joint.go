package fabric

import "context"

// Joined is a Driver of a process that serves several: where most looks find
// nothing changed, asking each by itself is most of their cost.
type Joined interface {
	Driver
	// Joint returns the process; drivers of the same one return the same.
	Joint() Joint
}

// Joint is a process that serves several drivers.
type Joint interface {
	// ObserveAll asks the drivers of some fabrics at once, and returns what each
	// answered, in the order of the questions.
	ObserveAll(ctx context.Context, asks []Ask) []Answer
}

// Ask is what to read back of one fabric.
type Ask struct {
	Fabric string `json:"fabric"`
	Scope  Scope  `json:"scope"`
}

// Answer is what Observe returned.
type Answer struct {
	Observation Observation
	Err         error
}
