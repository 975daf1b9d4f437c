// Package kind has one of each: what is used, what is not, and what only tests use.
package kind

import "fmt"

// Used is used.
type Used struct {
	Field    int
	unused   int // dead
	Tagged   int `json:"tagged"`
	Embedded     // lives with the whole
}

// Embedded is a part of Used.
type Embedded struct{}

// String is called by fmt, which has an interface with it.
func (u Used) String() string { return fmt.Sprint(u.Field) }

// Said is called by an interface of this package.
func (u Used) Said() string { return "said" }

// Silent is dead: what has it lives, and nothing calls it.
func (u Used) Silent() {}

type speaker interface {
	Said() string
	Unsaid() // dead
}

// Unsaid is dead with the interface's.
func (u Used) Unsaid() {}

// Spoken calls a method by an interface.
func Spoken(s speaker) string { return s.Said() }

// The numbers of an enumeration live together.
const (
	First = iota
	Second
)

// Alone is dead.
const Alone = 3

// Known is dead, and so is what it alone mentions.
var Known = helper()

func helper() int { return 1 }

// Gone is dead, and its field and method go with it.
type Gone struct{ field int }

// Method goes with its type.
func (g *Gone) Method() int { return g.field }

var _ fmt.Stringer = Used{}

// Tried is what only a test uses.
func Tried() {}

// Supported is what only support of tests uses.
func Supported() {}

// Kept is listed.
func Kept() { mentioned() }

func mentioned() {}

// Around is dead, although it mentions itself.
func Around(n int) int { return Around(n - 1) }
