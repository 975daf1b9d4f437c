package ibnet

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bulkhead/lab/await"
)

// preload is the library by which unchanged programs of libibumad talk to ibsim.
var preload = []string{
	"/usr/lib/x86_64-linux-gnu/umad2sim/libumad2sim.so",
	"/usr/lib/aarch64-linux-gnu/umad2sim/libumad2sim.so",
	"/usr/lib/umad2sim/libumad2sim.so",
}

// Sim is a simulated fabric under way.
type Sim struct {
	Name string // the simulator's name: umad.SimOptions.Socket, IBSIM_SOCKNAME
	Dir  string // the test's folder for this fabric

	before, after string // libraries that are loaded around libumad2sim, with the ":" between
}

// Start starts ibsim with a topology, until the test ends. It skips the test if
// ibsim is not installed.
func Start(tb testing.TB, t Tree) *Sim {
	tb.Helper()
	program, err := exec.LookPath("ibsim")
	if err != nil {
		tb.Skip("needs ibsim: apt-get install ibsim-utils")
	}
	s := &Sim{Name: fmt.Sprintf("bulkhead-%d-%x", os.Getpid(), rand.Uint64()), Dir: tb.TempDir()}
	var net bytes.Buffer
	if err := t.Write(&net); err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(s.Dir, "fabric.net")
	if err := os.WriteFile(file, net.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(program, "-s", "-n", "-N", strconv.Itoa(t.Hosts+t.Switches()+16), "-S", strconv.Itoa(t.Switches()+16),
		"-P", strconv.Itoa(2*t.Ports()+64), "-L", "49152", file)
	cmd.Env = append(os.Environ(), "IBSIM_SOCKNAME="+s.Name)
	s.run(tb, cmd, "ibsim")
	await.Must(tb, "ibsim to listen", func() bool { return listens(s.Name) })
	return s
}

// listens tries the simulator's control socket without saying anything.
func listens(name string) bool {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: "@" + name + ":ctl\x00", Net: "unixgram"})
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// run starts a program, keeps what it says in the fabric's folder, and ends it
// with the test, by its process id.
func (s *Sim) run(tb testing.TB, cmd *exec.Cmd, name string) *os.Process {
	tb.Helper()
	log, err := os.Create(filepath.Join(s.Dir, name+".out"))
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if tb.Failed() {
			if said, err := os.ReadFile(log.Name()); err == nil && len(said) > 0 {
				tb.Logf("%s said at the end: %s", name, said[max(0, len(said)-2000):])
			}
		}
	})
	return cmd.Process
}

// environment is what a program needs to sit on a host of the fabric.
func (s *Sim) environment(tb testing.TB, host string) []string {
	tb.Helper()
	library, err := library()
	if err != nil {
		tb.Skip("needs umad2sim: apt-get install libumad2sim0")
	}
	return append(os.Environ(), "IBSIM_SOCKNAME="+s.Name, "SIM_HOST="+host, "LD_PRELOAD="+s.before+library+s.after,
		"OSM_CACHE_DIR="+s.Dir, "OSM_TMP_DIR="+s.Dir)
}

// find looks for a program, among those for administrators too.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// Tool runs a program of infiniband-diags on a host, and returns what it prints.
// It skips the test if the program is not installed.
func (s *Sim) Tool(tb testing.TB, host, program string, args ...string) (string, error) {
	tb.Helper()
	path, err := find(program)
	if err != nil {
		tb.Skipf("needs %s: apt-get install infiniband-diags", program)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), await.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = s.environment(tb, host), s.Dir // umad2sim makes files where it runs
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, said.String())
	}
	return out.String(), nil
}

// StartOpenSM starts OpenSM on a host with a partition file, "" for OpenSM's own
// default, and waits until the subnet is up. It skips the test if OpenSM is not
// installed. The process ends with the test.
func (s *Sim) StartOpenSM(tb testing.TB, host, partitions string, args ...string) *os.Process {
	tb.Helper()
	path, err := find("opensm")
	if err != nil {
		tb.Skip("needs opensm: apt-get install opensm")
	}
	log := filepath.Join(s.Dir, "opensm-"+host+".log")
	options := append([]string{"-f", log, "-d", "2", "-s", "0"}, args...) // -d 2: each line of the log at once
	if partitions != "" {
		file := filepath.Join(s.Dir, "partitions-"+host+".conf")
		if err := os.WriteFile(file, []byte(partitions), 0o600); err != nil {
			tb.Fatal(err)
		}
		options = append(options, "-P", file)
	}
	cmd := exec.Command(path, options...)
	cmd.Env, cmd.Dir = s.environment(tb, host), s.Dir // umad2sim makes files where it runs
	process := s.run(tb, cmd, "opensm-"+host)
	await.Must(tb, "OpenSM to bring the subnet up", func() bool {
		said, err := os.ReadFile(log)
		return err == nil && bytes.Contains(said, []byte("SUBNET UP"))
	})
	return process
}
