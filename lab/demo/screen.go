package demo

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// screen shows progress: one changing line on a terminal, plain lines elsewhere.
type screen struct {
	w        io.Writer
	terminal bool
	started  time.Time
	last     time.Time
	current  string
	chapters []string
	began    map[string]time.Time
	ended    map[string]time.Time
	partial  bool
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, started: time.Now(), began: map[string]time.Time{}, ended: map[string]time.Time{}}
	if f, ok := w.(*os.File); ok {
		s.terminal = term.IsTerminal(int(f.Fd()))
	}
	return s
}

func (s *screen) clear() {
	if s.partial {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.partial = false
	}
}

func (s *screen) line(format string, args ...any) {
	s.clear()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// tell prints a line of the story with its virtual time.
func (s *screen) tell(now time.Time, line string) {
	s.line("%s  %s", now.Format("2006-01-02 15:04"), line)
}

// progress shows how far the story is; at most twice a second on a terminal, and
// every ten seconds elsewhere.
func (s *screen) progress(now time.Time, what string) {
	pause := 10 * time.Second
	if s.terminal {
		pause = 500 * time.Millisecond
	}
	if time.Since(s.last) < pause {
		return
	}
	s.last = time.Now()
	text := fmt.Sprintf("%s  ... %s (%.0f s)", now.Format("2006-01-02 15:04"), what, time.Since(s.started).Seconds())
	if s.terminal {
		s.clear()
		fmt.Fprint(s.w, text)
		s.partial = true
		return
	}
	fmt.Fprintln(s.w, text)
}

func (s *screen) chapter(name string) {
	now := time.Now()
	if s.current != "" {
		s.ended[s.current] = now
	}
	s.current = name
	s.chapters = append(s.chapters, name)
	s.began[name] = now
}

func (s *screen) seconds() map[string]float64 {
	s.ended[s.current] = time.Now()
	out := map[string]float64{"total": time.Since(s.started).Seconds()}
	for _, name := range s.chapters {
		out[name] = s.ended[name].Sub(s.began[name]).Seconds()
	}
	return out
}

// peakRSS is the most memory that this process and those it waited for have
// held, in bytes.
func peakRSS() int64 {
	var own, children unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &own) != nil || unix.Getrusage(unix.RUSAGE_CHILDREN, &children) != nil {
		return 0
	}
	return max(own.Maxrss, children.Maxrss) * 1024
}
