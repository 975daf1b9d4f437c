package linux

import (
	"context"
	"errors"
)

// This file puts back what differs of bgpd's configuration. What differs is what the
// reader says, of what bgpd prints; here are only lines said.

// runningOf has bgpd print its configuration.
func runningOf(ctx context.Context, f frr) (running, error) {
	text, err := f.ask(ctx, "bgpd", runningShow)
	if err != nil {
		return nil, err
	}
	return decodeRunning(text), nil
}

// putBack says the lines of each difference. One that bgpd refuses keeps no other from
// being put back: the next read-back has it again.
func putBack(ctx context.Context, f frr, list []difference) error {
	var errs []error
	for _, d := range list {
		if len(d.together) > 0 {
			errs = append(errs, f.configureAtOnce(ctx, d.back, d.together))
			continue
		}
		errs = append(errs, f.configure(ctx, d.back))
	}
	return errors.Join(errs...)
}

// mend brings what the agent owns of bgpd's configuration to what it is to be.
func mend(ctx context.Context, conf *Config) error {
	l, err := readLayout(conf)
	if err != nil {
		return err
	}
	f := frr(conf.PathSpace)
	r, err := runningOf(ctx, f)
	if err != nil {
		return err
	}
	return putBack(ctx, f, conf.differences(r, l.occupied))
}

// sayTargets makes VNIs' own targets said ones where they are derived.
func sayTargets(ctx context.Context, conf *Config, vnis []uint32) error {
	f := frr(conf.PathSpace)
	r, err := runningOf(ctx, f)
	if err != nil {
		return err
	}
	given := map[uint32]bool{}
	for _, vni := range vnis {
		given[vni] = true
	}
	var derived []difference
	for _, d := range differentVNIs(r, given) {
		if len(d.together) > 0 {
			derived = append(derived, d)
		}
	}
	return putBack(ctx, f, derived)
}
