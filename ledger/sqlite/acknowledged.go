package sqlite

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// SQLite reads its journal only as far as its checksums hold: one flipped bit, and every
// transaction from there on is as if it had never been, without an error. So the newest
// entry that was acknowledged is kept beside the store as well, in PATH.head, before
// Append returns: a store that holds less is refused when it is opened.
//
// The file is two slots, written in turn, a page apart, so that a write that is cut off
// leaves the other. It is written into the page cache, which a process that dies leaves
// behind, and flushed when the ledger is closed and with every headFlush-th group: a
// machine that loses its power and the journal's end together can lose the last of them
// unnoticed.

// Acknowledged is an entry that Append has answered for.
type Acknowledged struct {
	Seq    uint64
	Digest claim.Digest // of its position and frame
}

const (
	slotSize  = 8 + 8 + sha256.Size + 4 // magic, position, digest, checksum
	slotApart = 4096
	headFlush = 64
)

var slotMagic = [8]byte{'b', 'h', 'h', 'e', 'a', 'd', '1', '\n'}

// HeadFile is the file beside a ledger in which the newest acknowledged entry is kept.
func HeadFile(path string) string { return path + ".head" }

func acknowledge(seq uint64, frame []byte) Acknowledged {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, seq))
	h.Write(frame)
	return Acknowledged{seq, claim.Digest(h.Sum(nil))}
}

func (a *Acknowledged) encode() []byte {
	b := append(make([]byte, 0, slotSize), slotMagic[:]...)
	b = binary.BigEndian.AppendUint64(b, a.Seq)
	b = append(b, a.Digest[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeAcknowledged reads a slot; false where it is not whole.
func decodeAcknowledged(b []byte) (a Acknowledged, whole bool) {
	if len(b) != slotSize || [8]byte(b[:8]) != slotMagic || binary.BigEndian.Uint32(b[slotSize-4:]) != crc32.Checksum(b[:slotSize-4], castagnoli) {
		return a, false
	}
	a.Seq = binary.BigEndian.Uint64(b[8:])
	a.Digest = claim.Digest(b[16 : 16+sha256.Size])
	return a, true
}

// readHead reads the newest acknowledged entry. It is an error where there is none.
func readHead(path string) (newest Acknowledged, err error) {
	f, err := os.Open(path)
	if err != nil {
		return newest, err
	}
	defer f.Close()
	found := false
	for slot := range int64(2) {
		b := make([]byte, slotSize)
		if _, err := f.ReadAt(b, slot*slotApart); err != nil && !errors.Is(err, io.EOF) {
			return newest, err
		}
		if a, whole := decodeAcknowledged(b); whole && (!found || a.Seq > newest.Seq) {
			newest, found = a, true
		}
	}
	if !found {
		return newest, fmt.Errorf("%s: neither of its two slots is whole, so nothing shows that entries are missing: %w; restore it with the store from one backup, or see bulkhead ledger recover --help", path, ledger.ErrUnguarded)
	}
	return newest, nil
}

// headFile is the open file of a writer.
type headFile struct {
	f      *os.File
	next   int64 // slot that is written next
	newest uint64
	groups int
	err    error // what could not be written: nothing more is acknowledged
}

func openHead(path string) (*headFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &headFile{f: f}, nil
}

// write keeps an entry as acknowledged. One before the newest, as after a recovery, takes
// both slots.
func (h *headFile) write(a Acknowledged) error {
	slots := 1
	if a.Seq < h.newest {
		slots = 2
	}
	for range slots {
		if _, h.err = h.f.WriteAt(a.encode(), h.next*slotApart); h.err != nil {
			return h.err
		}
		h.next = 1 - h.next
	}
	h.newest = a.Seq
	if h.groups++; h.groups%headFlush == 0 {
		h.err = fdatasync(h.f)
	}
	return h.err
}

func (h *headFile) close() error { return errors.Join(fdatasync(h.f), h.f.Close()) }

// guarded says whether this ledger keeps a head file: one of an earlier release does not
// until it is opened for writing.
func (l *Log) guarded() (is bool, err error) {
	err = l.read.QueryRow(`SELECT count(*) > 0 FROM meta WHERE key='head-file'`).Scan(&is)
	return is, err
}

// acknowledgedBefore is what was acknowledged when a reader begins: it must be read
// before the store, to which a writer may be adding.
func acknowledgedBefore(path string) (a Acknowledged, missing bool, err error) {
	a, err = readHead(HeadFile(path))
	if errors.Is(err, fs.ErrNotExist) {
		return a, true, nil
	}
	return a, false, err
}

// compare refuses a store that holds less than it acknowledged, or something else.
func (l *Log) compare(a Acknowledged, missing bool) error {
	guarded, err := l.guarded()
	switch {
	case err != nil:
		return err
	case missing && guarded:
		return fmt.Errorf("%s is missing: without it nothing shows that the store's end is: %w; restore both from one backup (copy a ledger with bulkhead backup, never by its files), or see bulkhead ledger recover --help", HeadFile(l.path), ledger.ErrUnguarded)
	case missing || a.Seq == 0:
		return nil
	case l.head < a.Seq:
		return fmt.Errorf("%s ends at entry %d, and entry %d was acknowledged (%s): the end of its journal is damaged, or an older copy was put here: %w; keep all files as they are and restore a newer copy, or see bulkhead ledger recover --help", l.path, l.head, a.Seq, HeadFile(l.path), ledger.ErrLost)
	}
	return l.compareEntry(a)
}

// compareEntry compares the entry itself: another history may be longer.
func (l *Log) compareEntry(a Acknowledged) error {
	var row []byte
	if err := l.read.QueryRow(`SELECT frame FROM entry WHERE seq = ?`, int64(a.Seq)).Scan(&row); err != nil {
		return fmt.Errorf("entry %d: %w", a.Seq, err)
	}
	frame := row[:max(0, len(row)-sumSize)]
	if len(row) >= sumSize && binary.BigEndian.Uint32(row[len(frame):]) != rowSum(a.Seq, frame) {
		return nil // it is damaged, and whoever reads it is told so
	}
	if got := acknowledge(a.Seq, frame); got != a {
		return fmt.Errorf("entry %d is another one than was acknowledged (%s): this is another history: %w; put the store and its head file of one backup here, or see bulkhead ledger recover --help", a.Seq, HeadFile(l.path), ledger.ErrLost)
	}
	return nil
}

// keepHead begins, or goes on, to keep the acknowledged head.
func (l *Log) keepHead() (err error) {
	if l.acknowledged, err = openHead(HeadFile(l.path)); err != nil {
		return err
	}
	was, err := readHead(HeadFile(l.path))
	if err == nil {
		l.acknowledged.newest = was.Seq
	}
	return nil
}

// startHead writes the head file of a ledger that has none, and then that it has one.
func (l *Log) startHead() error {
	a := Acknowledged{}
	if l.head > 0 {
		var row []byte
		if err := l.read.QueryRow(`SELECT frame FROM entry WHERE seq = ?`, int64(l.head)).Scan(&row); err != nil {
			return err
		}
		a = acknowledge(l.head, row[:max(0, len(row)-sumSize)])
	}
	if err := errors.Join(l.acknowledged.write(a), fdatasync(l.acknowledged.f)); err != nil {
		return err
	}
	if guarded, err := l.guarded(); err != nil || guarded {
		return err
	}
	_, err := l.write.Exec(`INSERT INTO meta VALUES ('head-file', '1')`)
	return err
}
