//go:build !linux

package run

import "time"

// counted is how long this process has been running.
func counted() (time.Duration, string) { return time.Since(begun), "" }

// synchronised is not known here.
func synchronised() bool { return false }
