package ethnet

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// keeper starts a lab's daemons so that none outlives its owner. They run in a
// process namespace whose first process reads a pipe that the owner holds: when the
// owner ends, however it ends, the pipe closes, the first process ends, and the
// kernel kills every other process of the namespace. A parent-death signal would not
// do: the kernel forgets it when zebra and lldpd give up root.
type keeper struct {
	first *exec.Cmd
	pipe  *os.File
	work  chan func()
	done  chan struct{}

	mu       sync.Mutex
	children map[*exec.Cmd]chan struct{} // closed when it was waited for
}

func newKeeper() (*keeper, error) {
	k := &keeper{work: make(chan func()), done: make(chan struct{}), children: map[*exec.Cmd]chan struct{}{}}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	k.first, k.pipe = exec.Command("cat"), write
	k.first.Stdin = read
	k.first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if err := k.first.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("a new process namespace: %w (a lab needs root)", err)
	}
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", k.first.Process.Pid))
	if err == nil {
		defer space.Close()
		ready := make(chan error)
		go k.loop(space, ready)
		err = <-ready
	}
	if err != nil {
		write.Close()
		_ = k.first.Wait()
		return nil, err
	}
	return k, nil
}

// loop is the one thread whose children are in the process namespace.
func (k *keeper) loop(space *os.File, ready chan<- error) {
	runtime.LockOSThread() // for ever: the thread ends with the goroutine
	defer close(k.done)
	err := unix.Setns(int(space.Fd()), unix.CLONE_NEWPID)
	ready <- err
	if err != nil {
		return
	}
	for f := range k.work {
		f()
	}
}

// start starts a daemon in a network namespace.
func (k *keeper) start(s *Space, cmd *exec.Cmd) error {
	result := make(chan error, 1)
	k.work <- func() {
		result <- func() error {
			if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return cmd.Start()
		}()
	}
	if err := <-result; err != nil {
		return fmt.Errorf("%s: %s: %w", s.Name, cmd.Path, err)
	}
	over := make(chan struct{})
	k.mu.Lock()
	k.children[cmd] = over
	k.mu.Unlock()
	go func() { _ = cmd.Wait(); close(over) }()
	return nil
}

// kill ends a daemon at once, and waits until it has.
func (k *keeper) kill(cmd *exec.Cmd, signal syscall.Signal) {
	k.mu.Lock()
	over := k.children[cmd]
	delete(k.children, cmd)
	k.mu.Unlock()
	if over == nil {
		return
	}
	_ = cmd.Process.Signal(signal)
	<-over
}

// close ends everything that was started.
func (k *keeper) close() {
	k.pipe.Close()
	_ = k.first.Wait()
	k.mu.Lock()
	left := make([]chan struct{}, 0, len(k.children))
	for _, over := range k.children {
		left = append(left, over)
	}
	k.mu.Unlock()
	for _, over := range slices.All(left) {
		<-over
	}
	close(k.work)
	<-k.done
}
