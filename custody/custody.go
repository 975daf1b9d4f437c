// Package custody takes what lies on this machine's disk as it is found. That is files
// that people name, secrets, the folder of a control plane, and the sockets that processes
// speak through. It reads what is of the expected kind and size, and refuses what others
// than its owner could have put there.
package custody

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Limits for files that people name.
const (
	Small = 1 << 20  // configuration, tokens, keys
	Large = 64 << 20 // inventories, certificates, what other programs wrote
)

// ReadFile reads a regular file of at most limit bytes. A device has no end and a pipe
// may never have one: neither is a file that somebody can have meant.
func ReadFile(path string, limit int64) ([]byte, error) {
	data, _, err := readFile(path, limit)
	return data, err
}

func readFile(path string, limit int64) ([]byte, fs.FileInfo, error) {
	// Without O_NONBLOCK opening a pipe that nobody writes to waits for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := regular(path, info); err != nil {
		return nil, nil, err
	}
	if info.Size() > limit {
		return nil, nil, fmt.Errorf("%s: %d bytes: expected at most %d", path, info.Size(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // it may grow meanwhile
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("%s: more than %d bytes, which is the most that is read", path, limit)
	}
	return data, info, nil
}

// Open opens a regular file for whoever reads it in a stream with limits of his own.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func regular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is %s: expected a regular file", path, kindOf(info.Mode()))
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsRegular():
		return "a regular file"
	}
	return "something else"
}

// ReadSecret reads a file that nobody but its owner may have read or written: this
// process's user, or root.
func ReadSecret(path string, limit int64) ([]byte, error) {
	data, info, err := readFile(path, limit)
	if err != nil {
		return nil, err
	}
	return data, secret(path, info)
}

func secret(path string, info fs.FileInfo) error {
	if err := ours(path, info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, so others than its owner may read or write it: expected 0600 (chmod 600 %s), and a new secret if others have been on this machine", path, mode, path)
	}
	return nil
}

// Folder refuses a folder that others than this process's user could have filled or may
// change: it is not his, or a group or everybody may write to it.
func Folder(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is %s: expected a folder", path, kindOf(info.Mode()))
	}
	if err := ours(path, info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s has mode %04o, so others than its owner may put files into it: expected at most 0755 (chmod go-w %s) after a look at what is in it", path, mode, path)
	}
	return nil
}

// ours refuses what belongs to neither this process's user nor root.
func ours(path string, info fs.FileInfo) error {
	own, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: this system does not say whose it is", path)
	}
	return oursAs(path, own.Uid, uint32(os.Geteuid()))
}

func oursAs(what string, owner, me uint32) error {
	if owner == me || owner == 0 {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d, and this process is user %d: run it as its owner (sudo -u '#%d' ...), or give it to this user after a look at it", what, owner, me, owner)
}

// Replace puts data in place of a file, atomically and durably, for its owner alone.
func Replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync() // without it the old file may be back after a loss of power
}
