package main

import (
	"os"
	"runtime/pprof"
)

// profile writes a CPU profile to the file that BULKHEAD_CPUPROFILE names, with
// the verb behind it (the demonstration is two processes), for whoever wants to
// know where the time goes.
func profile() (stop func(), err error) {
	path := os.Getenv("BULKHEAD_CPUPROFILE")
	if path == "" {
		return func() {}, nil
	}
	if len(os.Args) > 1 {
		path += "." + os.Args[1]
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
