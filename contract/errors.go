package contract

import (
	"fmt"

	"bulkhead/claim"
)

// whole is what a problem is of where the contract came from no file.
const whole = "contract"

// findings collects what is wrong while a contract is checked.
type findings struct {
	list claim.Problems
}

func (f *findings) add(field, format string, args ...any) {
	f.list = append(f.list, &claim.Problem{File: whole, Field: field, Reason: fmt.Sprintf(format, args...)})
}

// err returns what was found, in the order of the checks, or nil.
func (f *findings) err() error { return f.list.Err() }
