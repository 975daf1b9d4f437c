// Package kindtest is support of tests.
package kindtest

import "toy/kind"

// Run is used by a test.
func Run() { kind.Supported() }

// Idle is dead.
func Idle() {}
