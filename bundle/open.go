package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"bulkhead/claim"
)

// container is a bundle whose layout and manifest have been checked. What it
// holds is checked frame by frame as it is read.
type container struct {
	r        io.ReaderAt
	size     int64
	manifest *Manifest
	signed   []byte // the manifest's envelope
}

// openContainer reads the manifest and checks that magic, frames, manifest and
// trailer fill the file exactly.
// Cost: the manifest only, about 300 bytes for each MiB of records.
func openContainer(r io.ReaderAt, size int64, trust claim.Trust) (*container, error) {
	least := int64(len(magic)) + trailerSize
	if size <= least {
		return nil, fmt.Errorf("%d bytes: too short to be a bundle", size)
	}
	head := make([]byte, len(magic))
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if !bytes.Equal(head, []byte(magic)) {
		return nil, errors.New("it does not begin as a bundle does: it is another file")
	}
	tail := make([]byte, trailerSize)
	if _, err := r.ReadAt(tail, size-trailerSize); err != nil && err != io.EOF {
		return nil, err
	}
	length, err := parseTrailer(tail)
	if err != nil {
		return nil, err
	}
	at := size - trailerSize - length
	if at < int64(len(magic)) {
		return nil, fmt.Errorf("trailer: manifest of %d bytes in a file of %d", length, size)
	}
	c := &container{r: r, size: size, signed: make([]byte, length)}
	if _, err := r.ReadAt(c.signed, at); err != nil {
		return nil, err
	}
	if c.manifest, err = openManifest(c.signed, trust); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if want := int64(len(magic)) + c.manifest.Entries.Stored + c.manifest.Bodies.Stored; want != at {
		return nil, fmt.Errorf("manifest: the frames end at byte %d, the manifest begins at %d", want, at)
	}
	return c, nil
}

func (c *container) entries() *frameReader {
	return readFrames(c.r, int64(len(magic)), "entries", &c.manifest.Entries)
}

func (c *container) bodies() *frameReader {
	return readFrames(c.r, int64(len(magic))+c.manifest.Entries.Stored, "bodies", &c.manifest.Bodies)
}
