package bundle

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"bulkhead/claim"
)

// frameWriter collects records into frames and writes them. It holds two frames at
// a time: while one is collected, the one before is packed.
type frameWriter struct {
	w       io.Writer
	encoder *zstd.Encoder
	section Section
	records int
	plain   []byte
	spare   []byte      // of the frame before, to be used again
	packing chan packed // nil: none is being packed
}

// packed is a frame as it is written.
type packed struct {
	frame         Frame
	plain, stored []byte
}

// newEncoder makes the one encoder that a bundle is written with. Concurrency 1
// and a fixed level make its output a function of its input.
func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(false), zstd.WithWindowSize(frameSize))
}

func (f *frameWriter) add(record []byte) error {
	if len(record) > maxRecord {
		return fmt.Errorf("record of %d bytes, at most %d", len(record), maxRecord)
	}
	f.plain = appendRecord(f.plain, record)
	f.records++
	if len(f.plain) < frameSize {
		return nil
	}
	return f.pack()
}

// close writes the frame under way, if there is one.
func (f *frameWriter) close() error {
	if f.records > 0 {
		if err := f.pack(); err != nil {
			return err
		}
	}
	return f.settle()
}

// pack begins to pack the frame under way, once the one before is written.
func (f *frameWriter) pack() error {
	if err := f.settle(); err != nil {
		return err
	}
	p := packed{frame: Frame{Records: f.records, Plain: len(f.plain)}, plain: f.plain}
	f.records, f.plain, f.spare = 0, f.spare[:0], nil
	packing := make(chan packed, 1)
	f.packing = packing
	go func() {
		p.stored = f.encoder.EncodeAll(p.plain, nil)
		p.frame.PlainDigest, p.frame.Stored, p.frame.StoredDigest = claim.DigestOf(p.plain), len(p.stored), claim.DigestOf(p.stored)
		packing <- p
	}()
	return nil
}

// settle writes the frame that is being packed.
func (f *frameWriter) settle() error {
	if f.packing == nil {
		return nil
	}
	p := <-f.packing
	f.packing, f.spare = nil, p.plain
	f.section.Frames = append(f.section.Frames, p.frame)
	f.section.Records += uint64(p.frame.Records)
	f.section.Plain += int64(p.frame.Plain)
	f.section.Stored += int64(p.frame.Stored)
	_, err := f.w.Write(p.stored)
	return err
}

// frameReader gives the records of a section in order. It checks both digests
// of each frame before it gives out anything of it, and holds two frames at a
// time: while one is used, the next one is unpacked.
type frameReader struct {
	name    string
	next    chan unpacked
	stop    chan struct{}
	rest    []byte
	left    int // records left in the frame
	frame   int
	whole   bool // frame is not the last one of its section
	pending error
}

type unpacked struct {
	plain []byte
	err   error
}

func readFrames(r io.ReaderAt, offset int64, name string, section *Section) *frameReader {
	f := &frameReader{name: name, next: make(chan unpacked, 1), stop: make(chan struct{})}
	go func() {
		defer close(f.next)
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRecord+4*frameSize), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			f.send(unpacked{err: err})
			return
		}
		defer decoder.Close()
		for i, frame := range section.Frames {
			plain, err := unpack(decoder, r, offset, frame)
			if err != nil {
				err = fmt.Errorf("%s frame %d: %w", name, i+1, err)
			}
			if !f.send(unpacked{plain, err}) || err != nil {
				return
			}
			offset += int64(frame.Stored)
		}
	}()
	return f
}

func (f *frameReader) send(u unpacked) bool {
	select {
	case f.next <- u:
		return true
	case <-f.stop:
		return false
	}
}

// close ends the unpacking. Records that were given out stay valid.
func (f *frameReader) close() { close(f.stop) }

func unpack(decoder *zstd.Decoder, r io.ReaderAt, offset int64, frame Frame) ([]byte, error) {
	stored := make([]byte, frame.Stored)
	if _, err := r.ReadAt(stored, offset); err != nil {
		return nil, fmt.Errorf("%d bytes at %d: %w", frame.Stored, offset, err)
	}
	if claim.DigestOf(stored) != frame.StoredDigest {
		return nil, errors.New("its compressed bytes are not those that were signed")
	}
	plain, err := decoder.DecodeAll(stored, make([]byte, 0, frame.Plain))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if len(plain) != frame.Plain || claim.DigestOf(plain) != frame.PlainDigest {
		return nil, errors.New("its bytes are not those that were signed")
	}
	return plain, nil
}

// record gives the next record, or io.EOF after the last one.
func (f *frameReader) record(section *Section) ([]byte, error) {
	if f.pending != nil {
		return nil, f.pending
	}
	record, err := f.take(section)
	if err != nil {
		f.pending = err
	}
	return record, err
}

func (f *frameReader) take(section *Section) ([]byte, error) {
	if f.left == 0 {
		if len(f.rest) != 0 {
			return nil, fmt.Errorf("%s frame %d: bytes behind its last record", f.name, f.frame)
		}
		u, ok := <-f.next
		if !ok {
			return nil, io.EOF
		}
		if u.err != nil {
			return nil, u.err
		}
		f.rest, f.left = u.plain, section.Frames[f.frame].Records
		f.frame++
		f.whole = f.frame < len(section.Frames)
	}
	before := len(f.rest)
	record, rest, err := cutRecord(f.rest)
	if err != nil {
		return nil, fmt.Errorf("%s frame %d: %w", f.name, f.frame, err)
	}
	f.rest = rest
	f.left--
	if size := section.Frames[f.frame-1].Plain; f.left > 0 && size-len(rest) >= frameSize || f.left == 0 && size-before >= frameSize {
		return nil, fmt.Errorf("%s frame %d: it holds more records than a frame does", f.name, f.frame)
	}
	return record, nil
}
