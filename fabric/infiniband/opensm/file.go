package opensm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/fabric"
)

// ErrEdited is returned, wrapped, when a file is not the one that was put last:
// somebody else wrote it, or removed it. It is not overwritten; TakeOver is for
// the operator who has looked at it.
var ErrEdited = errors.New("not the file that was put last")

// File is a configuration file that only this package writes. Beside it lie
// PATH.lock, which whoever writes holds (flock), and PATH.fence, which says who
// wrote last and what. At every moment PATH is either the old file or the new
// one, whole: a new one is written beside it, flushed, and renamed.
type File struct {
	Path string      // absolute
	Mode fs.FileMode // of a new file; 0: 0600. An old one keeps its mode and its owner

	// step is called before each step, so that a test can die there.
	step func(name string)
}

// record is what PATH.fence holds. Two digests: the new file's, and that of the
// file before, which is still in force if the writer died before the rename. They
// are the same once the file is in place.
type record struct {
	Fence  fabric.Fence `json:"fence"`
	Digest claim.Digest `json:"digest"`
	Before claim.Digest `json:"before"`
}

// Put puts a file in place for a writer. It refuses a writer older than one that
// was here (fabric.ErrFenced), and a file that somebody else changed (ErrEdited).
func (f *File) Put(ctx context.Context, text []byte, fence fabric.Fence) error {
	return f.locked(ctx, func() error {
		r, err := f.admit(fence)
		if err != nil {
			return err
		}
		now, err := f.unedited(r)
		if err != nil {
			return err
		}
		return f.put(text, fence, now)
	})
}

// Admit refuses an older writer, and remembers a newer one, without writing the
// file.
func (f *File) Admit(ctx context.Context, fence fabric.Fence) error {
	return f.locked(ctx, func() error {
		r, err := f.admit(fence)
		if err != nil || r != nil && r.Fence == fence {
			return err
		}
		if r == nil {
			r = &record{}
		}
		r.Fence = fence
		return f.writeRecord(r)
	})
}

// TakeOver puts a file in place of one that is not ours, or no longer: found is
// the digest of what the operator looked at (of no bytes, if there is no file).
// It fails if the file has changed since.
func (f *File) TakeOver(ctx context.Context, text []byte, fence fabric.Fence, found claim.Digest) error {
	return f.locked(ctx, func() error {
		if _, err := f.admit(fence); err != nil {
			return err
		}
		have, err := os.ReadFile(f.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if now := claim.DigestOf(have); now != found {
			return fmt.Errorf("%s: is %s now, and %s was looked at: look again", f.Path, now, found)
		}
		return f.put(text, fence, found)
	})
}

// Read returns the file in force, and ErrEdited with it if it is not ours.
func (f *File) Read() ([]byte, error) {
	r, err := f.readRecord()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return text, f.judge(r, text, err == nil)
}

// Newest returns the newest writer that was seen; zero if none was.
func (f *File) Newest() (fabric.Fence, error) {
	r, err := f.readRecord()
	if err != nil || r == nil {
		return fabric.Fence{}, err
	}
	return r.Fence, nil
}

func (f *File) admit(fence fabric.Fence) (*record, error) {
	r, err := f.readRecord()
	if err != nil {
		return nil, err
	}
	var seen fabric.Fence
	if r != nil {
		seen = r.Fence
	}
	if err := fence.Admit(seen); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return r, nil
}

// unedited returns the digest of the file in force.
func (f *File) unedited(r *record) (claim.Digest, error) {
	text, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return claim.Digest{}, err
	}
	return claim.DigestOf(text), f.judge(r, text, err == nil)
}

// judge compares the file with what was put last.
func (f *File) judge(r *record, text []byte, exists bool) error {
	digest := claim.DigestOf(text)
	none := claim.DigestOf(nil)
	switch {
	case r == nil || r.Digest == (claim.Digest{}):
		if exists {
			return fmt.Errorf("%s: is there, and was not put by Bulkhead: %w; look at it, then take it over", f.Path, ErrEdited)
		}
	case !exists && r.Before == none:
		// The writer died before its first rename.
	case !exists:
		return fmt.Errorf("%s: is gone: %w; OpenSM opens the fabric without it", f.Path, ErrEdited)
	case digest != r.Digest && digest != r.Before:
		return fmt.Errorf("%s: is %s, expected %s: %w; look at it, then take it over", f.Path, digest, r.Digest, ErrEdited)
	}
	return nil
}

func (f *File) put(text []byte, fence fabric.Fence, now claim.Digest) error {
	f.reach("record")
	if err := f.writeRecord(&record{Fence: fence, Digest: claim.DigestOf(text), Before: now}); err != nil {
		return err
	}
	f.reach("file")
	if err := f.replace(f.Path, text, f.mode()); err != nil {
		return err
	}
	// From here on the file before is no longer ours: who brings it back edits.
	f.reach("settled")
	return f.writeRecord(&record{Fence: fence, Digest: claim.DigestOf(text), Before: claim.DigestOf(text)})
}

func (f *File) mode() fs.FileMode {
	if f.Mode == 0 {
		return 0o600
	}
	return f.Mode
}

func (f *File) reach(name string) {
	if f.step != nil {
		f.step(name)
	}
}

// replace puts a file in place of another, or leaves the other: temporary file in
// the same folder, flush, rename, flush of the folder.
func (f *File) replace(path string, text []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	f.reach("created")
	_, err = tmp.Write(text)
	f.reach("written")
	if err == nil {
		err = sameAccess(tmp, path, mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	f.reach("flushed")
	if err = errors.Join(err, tmp.Close()); err == nil {
		// What is on the disk is what was meant: a rename can't be taken back.
		var back []byte
		if back, err = os.ReadFile(tmp.Name()); err == nil && !bytes.Equal(back, text) {
			err = fmt.Errorf("reads back otherwise than it was written")
		}
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	f.reach("renamed")
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("%s: the old file stays in force: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// sameAccess gives a new file the mode and owner of the old one: an OpenSM that
// may not read the file opens the fabric.
func sameAccess(tmp *os.File, path string, mode fs.FileMode) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return tmp.Chmod(mode)
	}
	if err != nil {
		return err
	}
	if !old.Mode().IsRegular() {
		return fmt.Errorf("is no regular file: OpenSM opens the fabric on it")
	}
	if own, ok := old.Sys().(*syscall.Stat_t); ok && (int(own.Uid) != os.Getuid() || int(own.Gid) != os.Getgid()) {
		if err := tmp.Chown(int(own.Uid), int(own.Gid)); err != nil {
			return err
		}
	}
	return tmp.Chmod(old.Mode().Perm())
}

func (f *File) fencePath() string { return f.Path + ".fence" }

func (f *File) writeRecord(r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return f.replace(f.fencePath(), append(text, '\n'), 0o600)
}

// readRecord returns nil if nothing was ever put. A record that can't be read is
// an error: without it nobody knows who is older.
func (f *File) readRecord() (*record, error) {
	text, err := os.ReadFile(f.fencePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := claim.Exact(text, custody.Small, &r); err != nil {
		return nil, fmt.Errorf("%s: %w: nothing is written until it says who wrote last", f.fencePath(), err)
	}
	return &r, nil
}

// locked runs do while no other process, and no other goroutine, does the same.
func (f *File) locked(ctx context.Context, do func() error) error {
	lock, err := os.OpenFile(f.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // gives the lock back
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return do()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("%s.lock: %w", f.Path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: another writer is at it: %w", f.Path, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
