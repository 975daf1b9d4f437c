package bundle

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// WatchMemory holds this process to the memory that the verification of a file may
// take. What is counted beforehand (see budget) is far below; this is for what nobody
// thought of. Go's collector is told the limit, and should the process pass it all the
// same, over is called, on another goroutine, with an error that is ErrBudget: whoever
// gave it ends the process there, since nothing can stop what allocates. The watch
// ends with the function that it returns.
func WatchMemory(file int64, over func(error)) (stop func()) {
	limit := BudgetBytes(file)
	before := debug.SetMemoryLimit(limit - besides - slack)
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/heap/live:bytes"}}
		took := func() (all, live int64) {
			metrics.Read(samples)
			return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64()), int64(samples[2].Value.Uint64())
		}
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			all, live := took()
			if all > limit-besides && live < limit/2 {
				runtime.GC() // the collector is late, as on a busy machine
				all, _ = took()
			}
			if all > limit-besides {
				over(fmt.Errorf("%w: it took %d MB to read %d bytes, of %d MB at most", ErrBudget, all>>20, file, limit>>20))
				return
			}
		}
	}()
	return func() {
		close(done)
		debug.SetMemoryLimit(before)
	}
}

// Of the budget, what the program's own text takes, which Go's accounts leave out, and
// how far the collector stays below so that nobody has to be stopped, in bytes.
const (
	besides = 14 << 20
	slack   = 10 << 20
)
