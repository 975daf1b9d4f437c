//go:build !linux

package packet

import (
	"errors"
	"time"
)

// Port is a NIC at which all frames are seen.
type Port struct{}

var errLinux = errors.New("raw frames: only on Linux")

// Open fails: only Linux is known here.
func Open(string) (*Port, error) { return nil, errLinux }

// MAC is none.
func (p *Port) MAC() MAC { return MAC{} }

// Close does nothing.
func (p *Port) Close() error { return nil }

// Send fails.
func (p *Port) Send([]byte) error { return errLinux }

// Await fails.
func (p *Port) Await(time.Duration, func([]byte) bool) (bool, error) { return false, errLinux }
