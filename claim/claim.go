// Package claim is what evidence is made of: subject, digest, grade, origin, and a signed
// statement that carries them.
//
// It also checks what people sign with SSH keys of their own, and reads what others wrote,
// JSON and YAML, in one way or not at all. It imports no other room, because every other
// room speaks its words.
package claim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is a SHA-256 digest. Its text form is "sha256:" and 64 lower-case
// hexadecimal digits. The zero Digest means "nothing" and prints as "".
type Digest [sha256.Size]byte

// DigestOf returns the SHA-256 digest of data.
func DigestOf(data []byte) Digest { return sha256.Sum256(data) }

// IsZero reports whether the digest names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return "sha256:" + hex.EncodeToString(d[:])
}

// MarshalText writes the text form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form. The empty text is the zero Digest.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// ParseDigest reads the text form of a digest; "" is the zero Digest.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if text == "" {
		return d, nil
	}
	digits, ok := strings.CutPrefix(text, "sha256:")
	if !ok || len(digits) != 2*len(d) || strings.ToLower(digits) != digits {
		return d, fmt.Errorf("digest %.80q: expected sha256: and 64 lower-case hexadecimal digits", text)
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return Digest{}, fmt.Errorf("digest %.80q: expected sha256: and 64 lower-case hexadecimal digits", text)
	}
	return d, nil
}

// Origin says what kind of machine a claim is about. It is signed into every
// statement, so that a rehearsal can never be passed off as a delivery.
type Origin string

const (
	Hardware  Origin = "hardware"  // a physical device said it
	Emulated  Origin = "emulated"  // real software speaking the device's protocol
	Simulated Origin = "simulated" // a model in our own process
)

// Valid reports whether o is one of the three origins.
func (o Origin) Valid() bool { return o == Hardware || o == Emulated || o == Simulated }

// Grade says how strong a claim is, weakest first.
type Grade uint8

const (
	Absent           Grade = iota // nothing supports the claim
	SimulatedGrade                // supported, but not by hardware
	OperatorAsserted              // the owner's word
	HardwareAttested              // a device signed it
	TenantProven                  // the tenant's own experiment shows it
)

var gradeNames = [...]string{"absent", "simulated", "operator-asserted", "hardware-attested", "tenant-proven"}

func (g Grade) String() string {
	if int(g) < len(gradeNames) {
		return gradeNames[g]
	}
	return fmt.Sprintf("grade(%d)", uint8(g))
}

// MarshalText writes the name of the grade.
func (g Grade) MarshalText() ([]byte, error) {
	if int(g) >= len(gradeNames) {
		return nil, fmt.Errorf("grade %d: not one of %s", g, strings.Join(gradeNames[:], ", "))
	}
	return []byte(gradeNames[g]), nil
}

// UnmarshalText reads the name of a grade.
func (g *Grade) UnmarshalText(text []byte) error {
	for i, name := range gradeNames {
		if name == string(text) {
			*g = Grade(i)
			return nil
		}
	}
	return fmt.Errorf("grade %.40q: expected one of %s", text, strings.Join(gradeNames[:], ", "))
}

// Cap returns the grade that a claim of grade g deserves when it comes from
// origin o: what is emulated or simulated is never graded above simulated, and
// an unknown origin supports nothing.
func Cap(g Grade, o Origin) Grade {
	switch o {
	case Hardware:
		return g
	case Emulated, Simulated:
		return min(g, SimulatedGrade)
	default:
		return Absent
	}
}

// Claim is one sentence that evidence supports, with its recomputed grade.
type Claim struct {
	Subject  string   `json:"subject"`            // whom it is about: a node, a lease, an invoice
	Sentence string   `json:"claim"`              // what is claimed
	Grade    Grade    `json:"grade"`              // recomputed by who reads it, never copied
	Origin   Origin   `json:"origin"`             // of the weakest evidence under it
	Evidence []Digest `json:"evidence,omitempty"` // bodies that support it
	Note     string   `json:"note,omitempty"`     // why the grade is no better
}
