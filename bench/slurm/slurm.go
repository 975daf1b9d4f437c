// Package slurm runs Slurm's own scheduler, from Debian's packages, on a tree of any size,
// without node daemons. That is slurmctld on the loopback address, in a directory of its
// own, asked by sbatch --test-only.
//
// What is inside its figures: Search is the time that slurmctld itself spent on
// REQUEST_JOB_WILL_RUN, as sdiag tells it; Whole is the whole of sbatch, with the
// start of that process and the answer on paper. Nodes that are taken are down:
// cheaper for it than running jobs would be.
package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"bulkhead/bench/sites"
)

// Slurm is a running slurmctld.
type Slurm struct {
	tree    *sites.Tree
	dir     string
	version string
	closing sync.Mutex
	daemon  *exec.Cmd
	ended   chan error
	down    map[int32]bool
}

// ErrMissing says that Slurm is not installed.
var ErrMissing = errors.New("needs slurmctld, sbatch, scontrol and sdiag: on Debian, apt-get install slurmctld slurm-client")

// The times that are waited for the daemon and for one command.
const (
	startWithin   = 60 * time.Second
	commandWithin = 120 * time.Second
)

// Start runs slurmctld for a site, in a new directory below dir. With racks,
// racks are switches too. Close ends it.
func Start(dir string, t *sites.Tree, racks bool) (*Slurm, error) {
	for _, program := range []string{"slurmctld", "sbatch", "scontrol", "sdiag"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, ErrMissing
		}
	}
	dir, err := os.MkdirTemp(dir, "slurm-")
	if err != nil {
		return nil, err
	}
	s := &Slurm{tree: t, dir: dir, down: map[int32]bool{}, ended: make(chan error, 1)}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "state"), 0o700),
		os.WriteFile(filepath.Join(dir, "slurm.conf"), []byte(conf(t, dir, me.Username, port)), 0o644),
		os.WriteFile(filepath.Join(dir, "topology.conf"), []byte(topology(t, racks)), 0o644)); err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "slurmctld.out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.daemon = exec.Command("slurmctld", "-D", "-c")
	s.daemon.Env = s.env()
	s.daemon.Stdout, s.daemon.Stderr = out, out
	// It ends with this process, however that ends. Not with the terminal's ^C: Close
	// ends it in order.
	s.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := s.daemon.Start(); err != nil {
		return nil, fmt.Errorf("slurmctld: %w", err)
	}
	go func() { s.ended <- s.daemon.Wait() }()
	if err := s.ready(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Slurm) ready() error {
	deadline := time.Now().Add(startWithin)
	for time.Now().Before(deadline) {
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("slurmctld ended at its start (%w): see %s/slurmctld.log", err, s.dir)
		case <-time.After(100 * time.Millisecond):
		}
		if text, err := s.command("scontrol", "--version"); err == nil {
			s.version = strings.TrimSpace(text)
		}
		if text, err := s.command("scontrol", "ping"); err == nil && strings.Contains(text, " is UP") {
			return nil
		}
	}
	return fmt.Errorf("slurmctld does not answer after %s: see %s/slurmctld.log", startWithin, s.dir)
}

// Name is what it is called in the report.
func (s *Slurm) Name() string { return "Slurm" }

// Version is what it says of itself.
func (s *Slurm) Version() string { return s.version }

// Close ends the daemon and removes its directory. It may be called twice, and
// while something else is asked, which then fails.
func (s *Slurm) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.daemon == nil {
		return nil
	}
	_ = s.daemon.Process.Signal(os.Interrupt)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		_ = s.daemon.Process.Kill()
		<-s.ended
	}
	s.daemon = nil
	return os.RemoveAll(s.dir)
}

func (s *Slurm) env() []string {
	return append(os.Environ(), "SLURM_CONF="+filepath.Join(s.dir, "slurm.conf"), "TZ=UTC", "LC_ALL=C")
}

func (s *Slurm) command(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandWithin)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = s.env()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w: %.300s", name, err, out.String())
	}
	return out.String(), err
}

// Occupy makes exactly the nodes of an occupancy unavailable.
func (s *Slurm) Occupy(o *sites.Occupancy) error {
	var up, down []int32
	for n, h := range o.Holder {
		n := int32(n)
		switch taken := h != sites.Free; {
		case taken && !s.down[n]:
			down = append(down, n)
		case !taken && s.down[n]:
			up = append(up, n)
		}
	}
	for _, list := range hostLists(up) {
		if _, err := s.command("scontrol", "update", "nodename="+list, "state=resume"); err != nil {
			return err
		}
	}
	for _, list := range hostLists(down) {
		if _, err := s.command("scontrol", "update", "nodename="+list, "state=down", "reason=taken"); err != nil {
			return err
		}
	}
	for _, n := range up {
		delete(s.down, n)
	}
	for _, n := range down {
		s.down[n] = true
	}
	return nil
}

var answer = regexp.MustCompile(`to start at (\S+) using \d+ processors on nodes (\S+) in partition`)

// Place asks where a job of that many whole nodes would run now.
func (s *Slurm) Place(nodes int) (sites.Decision, error) {
	before, err := s.spent()
	if err != nil {
		return sites.Decision{}, err
	}
	begin := time.Now()
	text, err := s.command("sbatch", "--test-only", "-N", strconv.Itoa(nodes), "--exclusive", "--wrap", "true")
	whole := time.Since(begin)
	if err != nil {
		return sites.Decision{}, err
	}
	after, err := s.spent()
	if err != nil {
		return sites.Decision{}, err
	}
	m := answer.FindStringSubmatch(text)
	if m == nil {
		return sites.Decision{}, fmt.Errorf("sbatch said %.200q, expected when and where the job would start", text)
	}
	chosen, err := parseHosts(m[2])
	if err != nil {
		return sites.Decision{}, err
	}
	return sites.Decision{Nodes: chosen, Search: after - before, Whole: whole}, nil
}

var willRun = regexp.MustCompile(`REQUEST_JOB_WILL_RUN\s.*total_time:(\d+)`)

// spent is what slurmctld says that it spent on asks in all.
func (s *Slurm) spent() (time.Duration, error) {
	text, err := s.command("sdiag")
	if err != nil {
		return 0, err
	}
	m := willRun.FindStringSubmatch(text)
	if m == nil {
		return 0, nil // none yet
	}
	us, err := strconv.ParseInt(m[1], 10, 64)
	return time.Duration(us) * time.Microsecond, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
