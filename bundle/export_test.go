package bundle

import (
	"bytes"
	"io"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// VerifyWithout verifies with one check disabled.
func VerifyWithout(check Check, r io.ReaderAt, size int64, policy *Policy, opts Options) (*Report, error) {
	v, err := newVerifier(policy, opts)
	if err != nil {
		return nil, err
	}
	v.skip = check
	return v.verify(r, size)
}

// WriteForged writes a bundle without any of the writer's own checks, signed
// with the owner's real key. bodies may change which bodies it holds.
func WriteForged(in Input, bodies func([]claim.Digest) []claim.Digest) []byte {
	return WriteForgedAs(in, bodies, func(*Manifest) {})
}

// WriteForgedAs is WriteForged with a manifest that says something else.
func WriteForgedAs(in Input, bodies func([]claim.Digest) []claim.Digest, change func(*Manifest)) []byte {
	var out bytes.Buffer
	encoder, err := newEncoder()
	if err != nil {
		panic(err)
	}
	out.WriteString(magic)
	m := Manifest{Format: Format, Site: in.Site, Tenant: in.Tenant, Checkpoint: string(in.Checkpoint)}
	entries, kept := &frameWriter{w: &out, encoder: encoder}, &frameWriter{w: &out, encoder: encoder}
	seen := map[claim.Digest]bool{}
	var names []claim.Digest
	for e := range in.Entries {
		if body, err := decodeBody(nil, e.Kind, e.Body); err == nil {
			for _, n := range named(body) {
				if !seen[n.digest] {
					seen[n.digest] = true
					names = append(names, n.digest)
				}
			}
		}
		if err := entries.add(ledger.Encode(&e)); err != nil {
			panic(err)
		}
	}
	_ = entries.close()
	m.Entries = entries.section
	if bodies != nil {
		names = bodies(names)
	}
	for _, d := range names {
		if data, err := in.Body(d); err == nil {
			_ = kept.add(appendBody(nil, data))
		}
	}
	_ = kept.close()
	m.Bodies = kept.section
	change(&m)
	signed, err := m.sign(in.Signer)
	if err != nil {
		panic(err)
	}
	out.Write(appendTrailer(signed, len(signed)))
	return out.Bytes()
}

// Guarded runs what panics as the verifier runs its fold and, on a worker, a statement.
func Guarded(do func()) (fold, worker error) {
	fold = guarded(logEntry{3, "x/1"}.String, func() error { do(); return nil })
	w := newWorkers(2)
	w.do(logEntry{9, "y/1"}, do)
	w.do(logEntry{7, "y/1"}, do)
	w.do(logEntry{8, "y/1"}, func() {})
	return fold, w.wait()
}

// FrameSize is for tests that need more than one frame.
const FrameSize = frameSize

// CutRecord, AppendBody and RestoreBody are the container's own coding.
var (
	CutRecord   = cutRecord
	AppendBody  = appendBody
	RestoreBody = restoreBody
)

// OpenKept opens a statement from its kept form.
func OpenKept(kept []byte, trust claim.Trust) (claim.Statement, error) {
	_, apart, err := restoreBody(kept)
	if err != nil {
		return claim.Statement{}, err
	}
	return openEnvelope(*apart, trust)
}
