package bundle

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"bulkhead/claim"
)

// A bundle is one file, without a free byte in it:
//
//	magic       16 bytes
//	entries     zstd frames, back to back
//	bodies      zstd frames, back to back
//	manifest    a signed statement (DSSE, in-toto) with the length and the digest
//	            of every frame, compressed and plain, and the signed checkpoint
//	trailer     8 bytes length of the manifest, big endian; 8 bytes ending
//
// A frame holds whole records and is closed by the first record that brings it
// to frameSize; only the last frame of a section is smaller. Every compressed
// byte is covered by a digest in the manifest, every byte of the manifest by its
// signature or by its canonical form, the rest is constant.
const (
	magic  = "bulkhead bundle\n"
	ending = "bundle.\n"

	trailerSize = int64(8 + len(ending))

	frameSize    = 1 << 20  // bytes of records at which a frame is closed
	maxRecord    = 64 << 20 // bytes of one record
	maxManifest  = 16 << 20 // bytes of the signed manifest
	maxFrames    = 1 << 16  // frames of one section
	maxNote      = 16 << 10 // bytes of the checkpoint
	maxNameBytes = 256      // bytes of a site's or tenant's name
)

// Format is the format that this release writes and reads.
const Format = "bulkhead-bundle/1"

// ManifestType is the predicate type of the manifest's statement.
const ManifestType = "bulkhead/bundle-manifest/1"

// Manifest says what a bundle holds. It is signed together with the checkpoint.
type Manifest struct {
	Format     string  `json:"format"`
	Site       string  `json:"site"`
	Tenant     string  `json:"tenant"`
	Checkpoint string  `json:"checkpoint"` // signed note over the scope's entries
	Entries    Section `json:"entries"`
	Bodies     Section `json:"bodies"`
}

// Section is a run of frames.
type Section struct {
	Records uint64  `json:"records"`
	Plain   int64   `json:"plain"`  // bytes of records
	Stored  int64   `json:"stored"` // bytes in the file
	Frames  []Frame `json:"frames"`
}

// Frame is one zstd frame.
type Frame struct {
	Records      int          `json:"records"`
	Plain        int          `json:"plain"` // bytes
	PlainDigest  claim.Digest `json:"plain_digest"`
	Stored       int          `json:"stored"` // bytes
	StoredDigest claim.Digest `json:"stored_digest"`
}

// check refuses sections whose sums do not fit, and sizes beyond the limits.
func (s *Section) check(name string) error {
	if len(s.Frames) > maxFrames {
		return fmt.Errorf("%s: %d frames, at most %d", name, len(s.Frames), maxFrames)
	}
	var records uint64
	var plain, stored int64
	for i, f := range s.Frames {
		last := i == len(s.Frames)-1
		if f.Records < 1 || f.Plain < 1 || f.Stored < 1 || f.Plain > maxRecord+2*frameSize || f.Stored > f.Plain+f.Plain/64+1024 {
			return fmt.Errorf("%s frame %d: %d records of %d bytes in %d: out of range", name, i+1, f.Records, f.Plain, f.Stored)
		}
		if !last && f.Plain < frameSize {
			return fmt.Errorf("%s frame %d: %d bytes, only the last frame has less than %d", name, i+1, f.Plain, frameSize)
		}
		records += uint64(f.Records)
		plain += int64(f.Plain)
		stored += int64(f.Stored)
	}
	if records != s.Records || plain != s.Plain || stored != s.Stored {
		return fmt.Errorf("%s: the frames add up to %d records, %d and %d bytes; the section says %d, %d and %d",
			name, records, plain, stored, s.Records, s.Plain, s.Stored)
	}
	return nil
}

func (m *Manifest) check() error {
	if m.Format != Format {
		return fmt.Errorf("format %.60q: this release reads %q", m.Format, Format)
	}
	if m.Site == "" || len(m.Site) > maxNameBytes || m.Tenant == "" || len(m.Tenant) > maxNameBytes {
		return errors.New("site and tenant must be named, in at most 256 bytes")
	}
	if len(m.Checkpoint) == 0 || len(m.Checkpoint) > maxNote {
		return fmt.Errorf("checkpoint of %d bytes, expected 1 to %d", len(m.Checkpoint), maxNote)
	}
	if err := m.Entries.check("entries"); err != nil {
		return err
	}
	return m.Bodies.check("bodies")
}

// subject is what the manifest's statement is about.
func (m *Manifest) subject() string { return "bundle/" + m.Site + "/" + m.Tenant }

func (m *Manifest) sign(signer claim.Signer) ([]byte, error) {
	s, err := claim.NewStatement(m.subject(), claim.DigestOf([]byte(m.Checkpoint)), ManifestType, m)
	if err != nil {
		return nil, err
	}
	return claim.Sign(s, signer)
}

// openManifest checks the signature and the form of a manifest.
func openManifest(envelope []byte, trust claim.Trust) (*Manifest, error) {
	s, err := claim.Open(envelope, trust)
	if err != nil {
		return nil, err
	}
	if s.PredicateType != ManifestType {
		return nil, fmt.Errorf("statement of type %.80q, expected %q", s.PredicateType, ManifestType)
	}
	var m Manifest
	if err := claim.Exact(s.Predicate, len(envelope), &m); err != nil {
		return nil, err
	}
	canonical, err := claim.NewStatement(m.subject(), claim.DigestOf([]byte(m.Checkpoint)), ManifestType, &m)
	if err != nil {
		return nil, err
	}
	want, _ := json.Marshal(canonical)
	if got, _ := json.Marshal(s); !bytes.Equal(got, want) {
		return nil, errors.New("not in canonical form")
	}
	return &m, m.check()
}

// unescaped undoes what encoding/json does to JSON that is embedded in other
// JSON: it writes &, < and > as \u0026, \u003c and \u003e. Canonical encodings
// of contracts and invoices hold the characters themselves.
func unescaped(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u00`)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' || i+1 == len(data) {
			out = append(out, data[i])
			continue
		}
		if i+6 <= len(data) {
			switch string(data[i : i+6]) {
			case `\u0026`:
				out, i = append(out, '&'), i+5
				continue
			case `\u003c`:
				out, i = append(out, '<'), i+5
				continue
			case `\u003e`:
				out, i = append(out, '>'), i+5
				continue
			}
		}
		out = append(out, data[i], data[i+1])
		i++
	}
	return out
}

func appendTrailer(b []byte, manifest int) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(manifest)), ending...)
}

func parseTrailer(b []byte) (manifest int64, err error) {
	if int64(len(b)) != trailerSize || string(b[8:]) != ending {
		return 0, errors.New("it does not end as a bundle does: it was cut off, or something was appended")
	}
	n := binary.BigEndian.Uint64(b)
	if n == 0 || n > maxManifest {
		return 0, fmt.Errorf("trailer: manifest of %d bytes, expected 1 to %d", n, maxManifest)
	}
	return int64(n), nil
}
