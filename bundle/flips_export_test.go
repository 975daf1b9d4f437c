package bundle

import (
	"io"

	"bulkhead/claim"
)

// FrameAt is one frame of a bundle with where it lies.
type FrameAt struct {
	Section string
	Number  int // in its section, from 1
	Offset  int64
	Frame   Frame
}

// FramesOf lists the frames that a bundle's manifest names, in the order in
// which they lie.
func FramesOf(r io.ReaderAt, size int64, policy *Policy) ([]FrameAt, error) {
	c, err := openContainer(r, size, policy.everTrusted(claim.PurposeStatement))
	if err != nil {
		return nil, err
	}
	var all []FrameAt
	offset := int64(len(magic))
	for _, s := range []struct {
		name    string
		section *Section
	}{{"entries", &c.manifest.Entries}, {"bodies", &c.manifest.Bodies}} {
		for i, frame := range s.section.Frames {
			all = append(all, FrameAt{s.name, i + 1, offset, frame})
			offset += int64(frame.Stored)
		}
	}
	return all, nil
}

// Read has the verifier's own frame reader read this frame alone, to its end.
func (f FrameAt) Read(r io.ReaderAt) error {
	section := &Section{Records: uint64(f.Frame.Records), Plain: int64(f.Frame.Plain), Stored: int64(f.Frame.Stored), Frames: []Frame{f.Frame}}
	frames := readFrames(r, f.Offset, f.Section, section)
	defer frames.close()
	for {
		if _, err := frames.record(section); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
