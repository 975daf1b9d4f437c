package sites

import "time"

// Decision is a contender's answer to an ask.
type Decision struct {
	Nodes []int32

	// Search is what the contender itself took to decide, with nothing around it:
	// the figure that flatters it most.
	Search time.Duration

	// Whole is what a caller waits for. What that includes differs, and each
	// contender's package says it.
	Whole time.Duration
}
