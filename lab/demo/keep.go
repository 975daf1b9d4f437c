package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"bulkhead/custody"
	"bulkhead/sim"
)

// What the devices hold is written to a file once a second at most, and less often
// where that takes long: a twentieth of the time is spent on it.
const (
	keepEvery = time.Second
	keepShare = 20
)

// resume makes a site's devices hold what a file says, if there is one, and lets the
// time pass that has passed since, if begin is later.
func resume(ctx context.Context, s *sim.Sim, file string, begin time.Time) (held bool, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = s.Resume(data)
	}
	if err != nil {
		return false, fmt.Errorf("--state %s: %w", file, err)
	}
	now, err := s.Now(ctx)
	if err == nil && begin.After(now) {
		err = s.Advance(ctx, begin)
	}
	return true, err
}

// keep writes what the devices hold until ctx ends, and once more then. After any
// other end of the process the file is a moment old: what was written to the devices in that
// moment they have lost, as a read-back shows.
func keep(ctx context.Context, s *sim.Sim, file string) error {
	if file == "" {
		return nil
	}
	var last []byte
	for ended := false; ; {
		began := time.Now()
		data, err := s.Keep()
		if err == nil && !bytes.Equal(data, last) {
			err = custody.Replace(file, data)
			last = data
		}
		if err != nil {
			return fmt.Errorf("--state %s: %w", file, err)
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			ended = true
		case <-time.After(max(keepEvery, keepShare*time.Since(began))):
		}
	}
}
