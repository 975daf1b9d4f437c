// Package ledger is what happened: an append-only log of entries with the
// Merkle trees over it. It knows bytes, scopes and positions, and nothing of
// leases.
//
// The frame of an entry is the exact bytes that are hashed, stored and shown to
// a tenant; nothing ever encodes an entry again to check it.
package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Limits of one entry.
const (
	MaxFrame = 256 << 10 // bytes
	maxText  = 255       // bytes of command, kind and scope each
)

// Entry is one thing that happened.
type Entry struct {
	// Seq is the position in the whole ledger, from 1. It is not in the frame:
	// a tenant that could subtract two of them would see how busy the others
	// are. The tree over the whole ledger fixes it all the same.
	Seq uint64

	Time     time.Time // nanoseconds, UTC
	Term     uint64    // of the writer
	Command  string    // client-given id, may be empty
	Kind     string    // "lease.bound/1"
	Scope    string    // "site" or "tenant/<id>"
	ScopeSeq uint64    // position in the scope, from 1, without gaps
	Salt     [16]byte  // so that a hash can't be guessed from its neighbours
	Body     []byte    // JSON
}

const frameVersion = 1

// Fits says whether an entry fits into a frame that an engine takes.
func Fits(e *Entry) error {
	for _, text := range [...]string{e.Kind, e.Scope, e.Command} {
		if len(text) > maxText {
			return fmt.Errorf("text of %d bytes, at most %d fit", len(text), maxText)
		}
	}
	if len(e.Body) > MaxFrame-1024 {
		return fmt.Errorf("%s: body of %d bytes, at most %d fit", e.Kind, len(e.Body), MaxFrame-1024)
	}
	return nil
}

// Encode returns the frame of an entry:
//
//	1 byte   frame version, 1
//	8 bytes  time, nanoseconds since 1970 UTC, big endian
//	8 bytes  term
//	8 bytes  position in the scope
//	16 bytes salt
//	1+n      kind, 1+n scope, 1+n command: length byte and text
//	4+n      body: length, big endian, and bytes
//
// It panics on texts over 255 bytes: they are the writer's own.
func Encode(e *Entry) []byte {
	return appendFrame(make([]byte, 0, frameSize(e)), e)
}

// frameSize is how long the frame of an entry is.
func frameSize(e *Entry) int {
	return 48 + len(e.Kind) + len(e.Scope) + len(e.Command) + len(e.Body)
}

func appendFrame(frame []byte, e *Entry) []byte {
	frame = append(frame, frameVersion)
	frame = binary.BigEndian.AppendUint64(frame, uint64(e.Time.UnixNano()))
	frame = binary.BigEndian.AppendUint64(frame, e.Term)
	frame = binary.BigEndian.AppendUint64(frame, e.ScopeSeq)
	frame = append(frame, e.Salt[:]...)
	for _, text := range [...]string{e.Kind, e.Scope, e.Command} {
		if len(text) > maxText {
			panic(fmt.Sprintf("ledger: text of %d bytes, at most %d fit", len(text), maxText))
		}
		frame = append(frame, byte(len(text)))
		frame = append(frame, text...)
	}
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(e.Body)))
	return append(frame, e.Body...)
}

var errFrame = errors.New("frame: cut off")

// Decode reads a frame. Seq is left 0. The body is a copy.
func Decode(frame []byte) (Entry, error) {
	var e Entry
	if len(frame) > MaxFrame {
		return e, fmt.Errorf("frame: %d bytes, at most %d", len(frame), MaxFrame)
	}
	if len(frame) < 41 {
		return e, errFrame
	}
	if frame[0] != frameVersion {
		return e, fmt.Errorf("frame: version %d, this release reads version %d", frame[0], frameVersion)
	}
	e.Time = time.Unix(0, int64(binary.BigEndian.Uint64(frame[1:]))).UTC()
	e.Term = binary.BigEndian.Uint64(frame[9:])
	e.ScopeSeq = binary.BigEndian.Uint64(frame[17:])
	copy(e.Salt[:], frame[25:41])
	rest := frame[41:]
	var ends [3]int // of the texts, behind their length bytes
	at := 0
	for i := range ends {
		if at >= len(rest) || at+1+int(rest[at]) > len(rest) { // as an int: 1+255 overflows a byte
			return Entry{}, errFrame
		}
		at += 1 + int(rest[at])
		ends[i] = at
	}
	texts := string(rest[:at]) // one allocation for the three
	e.Kind, e.Scope, e.Command = texts[1:ends[0]], texts[ends[0]+1:ends[1]], texts[ends[1]+1:ends[2]]
	rest = rest[at:]
	if len(rest) < 4 || uint64(len(rest)-4) != uint64(binary.BigEndian.Uint32(rest)) {
		return Entry{}, errors.New("frame: the body's length does not fit")
	}
	e.Body = append([]byte(nil), rest[4:]...)
	return e, nil
}
