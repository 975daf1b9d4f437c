package ethnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Up starts the process that keeps a lab, as prepared, hears it until the lab is up,
// and leaves it on its own. When ctx ends before, the lab ends too.
func Up(ctx context.Context, process *exec.Cmd, say func(string)) (*Lab, error) {
	// Of a session of its own: what a terminal sends to this process is not for it.
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	process.Dir = "/"
	in, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	process.Stderr = nil // a pipe to here would end it when it speaks after this process has ended
	if err := process.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	defer stop()
	// Lenient JSON: one value behind the other, as the lab goes on; half a file is of a lab that was killed.
	lab, err := hear(json.NewDecoder(io.TeeReader(out, &said)), say)
	if err == nil {
		_, err = io.WriteString(in, "taken\n")
	}
	if err != nil {
		_ = in.Close()
		return nil, errors.Join(err, ctx.Err(), process.Wait())
	}
	return lab, process.Process.Release()
}

// hear hears the process that keeps a lab until the lab is up.
func hear(d *json.Decoder, say func(string)) (*Lab, error) {
	for {
		var m message
		switch err := d.Decode(&m); {
		case err != nil:
			return nil, fmt.Errorf("the process that keeps the lab has ended: %w", err)
		case m.Error != "":
			return nil, errors.New(m.Error)
		case m.Up != nil:
			return m.Up, nil
		}
		say(m.Say)
	}
}

// List returns the labs of this machine: those that are up, and what was left of
// those that were killed.
func List() ([]Lab, error) {
	entries, err := os.ReadDir(Base)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var labs []Lab
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		labs = append(labs, look(e.Name()))
	}
	slices.SortFunc(labs, func(a, b Lab) int { return strings.Compare(a.Name, b.Name) })
	return labs, nil
}

func look(name string) Lab {
	l := Lab{Name: name, Folder: folder(name)}
	if data, err := os.ReadFile(filepath.Join(l.Folder, labFile)); err == nil {
		// Lenient JSON: a lab of another release may have said more.
		_ = json.Unmarshal(data, &l) // half a file is of a lab that was killed
	}
	l.State = "killed"
	if owned(name) {
		l.State = "up"
		if l.Process == 0 {
			l.State = "coming up, or of a test or demonstration"
		}
	}
	return l
}

// downLimit is how long a lab may take to end by itself.
const downLimit = 30 * time.Second

// Down takes a lab down, and returns when nothing of it is left. What is left of a lab
// that was killed is removed.
func Down(ctx context.Context, name string) error {
	if !validID(name) {
		return fmt.Errorf("lab %.40q: expected 1 to 12 lower-case letters and digits", name)
	}
	if _, err := os.Stat(folder(name)); err != nil {
		return fmt.Errorf("no lab %s is up: %w", name, err)
	}
	if owned(name) {
		if err := endOwner(ctx, name); err != nil {
			return err
		}
	}
	for limit := time.Now().Add(downLimit); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(folder(name)); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if _, err := Sweep(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("lab %s: its folder %s could not be removed", name, folder(name))
		}
	}
}

// endOwner ends the process of a lab: by SIGTERM, and by SIGKILL when that takes too long.
func endOwner(ctx context.Context, name string) error {
	text, err := os.ReadFile(filepath.Join(folder(name), ownerFile))
	if err != nil {
		return fmt.Errorf("lab %s is coming up, or of a test or demonstration: %w", name, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return fmt.Errorf("lab %s: owner %.40q: expected a process", name, text)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		// Its owner lives as long as its lock is held, so the number is still its own.
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("lab %s: process %d: %w", name, pid, err)
		}
		for limit := time.Now().Add(downLimit); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
			if !owned(name) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("lab %s: process %d does not end", name, pid)
}
