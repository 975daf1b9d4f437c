// Package drivertest puts a driver to the demands of its suite, each by a name and on a fixture of its own.
//
// What is demanded of a kind of driver is its suite's: packages fabrictest, nodetest and
// storagetest list it, and say what a fixture is. A driver's own test gives the suite's Run
// a function that makes one.
package drivertest

import (
	"context"
	"testing"
	"time"
)

// Requirement is one demand on a driver. Holds says why a driver does not meet it; it asks and
// breaks the driver through a new fixture F.
type Requirement[F any] struct {
	Name  string
	Holds func(context.Context, F) error
}

// within is how long a driver may take over one demand.
const within = time.Minute

// Run puts a driver to every demand, in their order, as a subtest of the demand's name.
func Run[F any](t *testing.T, demands []Requirement[F], open func(*testing.T) F) {
	for _, d := range demands {
		t.Run(d.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			if err := d.Holds(ctx, open(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
