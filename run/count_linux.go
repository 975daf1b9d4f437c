package run

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// boot names the machine's last start.
var boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// counted is how long the machine has been running, and of what start. It goes on
// while the machine sleeps, so that one that wakes is not taken for one whose clock
// was set.
func counted() (time.Duration, string) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(begun), ""
	}
	return time.Duration(t.Nano()), boot()
}

// synchronised asks the kernel whether something keeps its clock in step.
func synchronised() bool {
	var t unix.Timex // no modes: nothing is changed
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
