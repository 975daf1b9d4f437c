package main

import (
	"os"
	"runtime/pprof"
)

// profile writes a CPU profile to the file that BULKHEAD_CPUPROFILE names, for
// whoever wants to know where the time goes.
func profile() (stop func(), err error) {
	path := os.Getenv("BULKHEAD_CPUPROFILE")
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}
