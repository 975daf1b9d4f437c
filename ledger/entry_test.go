package ledger_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
)

func TestFrameRoundTrip(t *testing.T) {
	text := rapid.StringN(0, -1, 255)
	rapid.Check(t, func(t *rapid.T) {
		e := ledger.Entry{
			Time: time.Unix(0, rapid.Int64().Draw(t, "time")).UTC(), Term: rapid.Uint64().Draw(t, "term"),
			ScopeSeq: rapid.Uint64().Draw(t, "position"), Kind: text.Draw(t, "kind"), Scope: text.Draw(t, "scope"),
			Command: text.Draw(t, "command"), Body: rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "body"),
		}
		copy(e.Salt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
		frame := ledger.Encode(&e)
		got, err := ledger.Decode(frame)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Time.Equal(e.Time) || got.Term != e.Term || got.ScopeSeq != e.ScopeSeq || got.Kind != e.Kind ||
			got.Scope != e.Scope || got.Command != e.Command || got.Salt != e.Salt || !bytes.Equal(got.Body, e.Body) || got.Seq != 0 {
			t.Fatalf("%+v came back as %+v", e, got)
		}
	})
}

// TestFrameLimits reads texts of every length: 255 is the longest.
func TestFrameLimits(t *testing.T) {
	for n := range 256 {
		e := ledger.Entry{Kind: strings.Repeat("k", n), Scope: strings.Repeat("s", 255-n), Command: strings.Repeat("c", n)}
		got, err := ledger.Decode(ledger.Encode(&e))
		if err != nil || got.Kind != e.Kind || got.Scope != e.Scope || got.Command != e.Command {
			t.Fatalf("texts of %d bytes: %v", n, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Fatal("a text of 256 bytes was encoded")
		}
	}()
	ledger.Encode(&ledger.Entry{Kind: strings.Repeat("k", 256)})
}

// TestFrameCutOff: no beginning of a frame, and nothing longer, is a frame.
func TestFrameCutOff(t *testing.T) {
	e := ledgertest.Entries("cut", 0, 1, 60)[0]
	frame := ledger.Encode(&e)
	for n := range frame {
		if _, err := ledger.Decode(frame[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were read as a frame", n, len(frame))
		}
	}
	for _, bad := range [][]byte{append(bytes.Clone(frame), 0), make([]byte, ledger.MaxFrame+1), append([]byte{2}, frame[1:]...)} {
		if _, err := ledger.Decode(bad); err == nil {
			t.Fatalf("%d bytes were read as a frame", len(bad))
		}
	}
}

// FuzzDecode: what can be read is encoded to the same bytes, so that a frame
// has one reading and a reading one frame.
func FuzzDecode(f *testing.F) {
	for _, e := range ledgertest.Entries("seed", 0, 3, 60) {
		f.Add(ledger.Encode(&e))
	}
	f.Add(ledger.Encode(&ledger.Entry{Kind: strings.Repeat("k", 255), Scope: strings.Repeat("s", 255)}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		e, err := ledger.Decode(frame)
		if err != nil {
			return
		}
		if again := ledger.Encode(&e); !bytes.Equal(again, frame) {
			t.Fatalf("%x was read, and encoded as %x", frame, again)
		}
	})
}
