package bundle_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
)

// subject is a bundle that is about to be damaged.
type subject struct {
	r      io.ReaderAt
	size   int64
	policy *bundle.Policy
	frames []bundle.FrameAt
}

// largeSubject is the bundle that BULKHEAD_BUNDLE names, with the policy that
// BULKHEAD_POLICY names or that lies beside it, or one of some thousand node
// holdings that is written here.
func largeSubject(t *testing.T) *subject {
	t.Helper()
	s := &subject{}
	if path := os.Getenv("BULKHEAD_BUNDLE"); path != "" {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		name := os.Getenv("BULKHEAD_POLICY")
		if name == "" {
			name = strings.TrimSuffix(path, ".bundle") + ".policy"
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("%v\n  BULKHEAD_POLICY names the policy that goes with BULKHEAD_BUNDLE", err)
		}
		if s.policy, err = bundle.ParsePolicy(name, text); err != nil {
			t.Fatal(err)
		}
		s.r, s.size = file, info.Size()
	} else {
		nodes := 2048
		if testing.Short() {
			nodes = 256
		}
		data := write(t, delivered(nodes, false).Input())
		s.r, s.size, s.policy = bytes.NewReader(data), int64(len(data)), owner.Policy(bundletest.Tenant)
	}
	var err error
	if s.frames, err = bundle.FramesOf(s.r, s.size, s.policy); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *subject) verify(r io.ReaderAt, size int64) (*bundle.Report, error) {
	return bundle.Verify(r, size, s.policy, bundle.Options{})
}

// frameOf finds the frame that a byte belongs to.
func (s *subject) frameOf(at int64) (bundle.FrameAt, bool) {
	for _, f := range s.frames {
		if at >= f.Offset && at < f.Offset+int64(f.Frame.Stored) {
			return f, true
		}
	}
	return bundle.FrameAt{}, false
}

// flipped shows a file with one bit of it flipped.
type flipped struct {
	io.ReaderAt
	at  int64
	bit byte
}

func (f flipped) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	if i := f.at - off; i >= 0 && i < int64(n) {
		p[i] ^= f.bit
	}
	return n, err
}

// watched remembers which bytes of a file were read.
type watched struct {
	io.ReaderAt
	mu   sync.Mutex
	read [][2]int64
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	w.mu.Lock()
	w.read = append(w.read, [2]int64{off, off + int64(n)})
	w.mu.Unlock()
	return n, err
}

// gap is the first byte that nobody has read, or size.
func (w *watched) gap() int64 {
	slices.SortFunc(w.read, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	end := int64(0)
	for _, r := range w.read {
		if r[0] > end {
			break
		}
		end = max(end, r[1])
	}
	return end
}

// TestFlips flips 10,000 bits of a large bundle, one at a time: each must be
// refused. To verify so large a bundle takes seconds, so the whole verifier runs
// only where it must:
//
//   - The whole verifier accepts the bundle as it is, and has then read every byte
//     of it: nothing is passed over.
//   - A bit outside the frames (magic, manifest, trailer): the whole verifier.
//   - A bit in a frame leaves the manifest, and with it where every frame lies and
//     what its digests are, as it was. The verifier's own frame reader, over that
//     frame alone, must refuse it.
//   - Verify has no way to accept a bundle with a frame that its reader refused:
//     it reads both sections to their end, as the first point shows, and the
//     reader's error is its own. The whole verifier is run for a flip in the first,
//     a middle and the last frame of each section all the same.
//
// BULKHEAD_BUNDLE=demo/bundles/flagship.bundle go test ./bundle -run TestFlips -v
// does the same to a bundle of any size.
func TestFlips(t *testing.T) {
	s := largeSubject(t)
	w := &watched{ReaderAt: s.r}
	report, err := s.verify(w, s.size)
	if err != nil || !report.Proven {
		t.Fatalf("the bundle is not proven as it is: %v", err)
	}
	if at := w.gap(); at != s.size {
		t.Fatalf("byte %d of %d was never read", at, s.size)
	}

	random := rand.New(rand.NewPCG(10_000, 1))
	layers := map[string]int{}
	flip := func(at int64, bit byte) {
		bad := flipped{s.r, at, bit}
		if f, in := s.frameOf(at); in {
			layers[f.Section]++
			if err := f.Read(bad); err == nil {
				t.Fatalf("bit %#02x of byte %d, in frame %d of the %s, was flipped and the frame was taken", bit, at, f.Number, f.Section)
			}
			return
		}
		layers["magic, manifest, trailer"]++
		if report, err := s.verify(bad, s.size); err == nil || report != nil {
			t.Fatalf("bit %#02x of byte %d of %d, in no frame, was flipped and the bundle was taken", bit, at, s.size)
		}
	}
	const flips = 10_000
	for range flips {
		flip(random.Int64N(s.size), 1<<random.IntN(8))
	}
	// Few of these were outside the frames: those are little of the file. So:
	// every bit of the magic and the trailer, and some of the manifest.
	last := s.frames[len(s.frames)-1]
	manifest := last.Offset + int64(last.Frame.Stored)
	for bit := range 8 {
		for i := range int64(16) {
			flip(i, 1<<bit)
			flip(s.size-1-i, 1<<bit)
		}
	}
	for range 500 {
		flip(manifest+random.Int64N(s.size-16-manifest), 1<<random.IntN(8))
	}
	t.Logf("%d bytes, %d frames; refused by: %v", s.size, len(s.frames), layers)

	for _, f := range s.someFrames() {
		at := f.Offset + random.Int64N(int64(f.Frame.Stored))
		if report, err := s.verify(flipped{s.r, at, 1 << random.IntN(8)}, s.size); err == nil || report != nil {
			t.Fatalf("byte %d, in frame %d of the %s, was changed and the bundle was taken", at, f.Number, f.Section)
		}
	}
}

// someFrames is the first, a middle and the last frame of each section; of a large
// bundle a middle one, as each is a verification of up to twenty seconds.
func (s *subject) someFrames() []bundle.FrameAt {
	var out []bundle.FrameAt
	for _, section := range []string{"entries", "bodies"} {
		var frames []bundle.FrameAt
		for _, f := range s.frames {
			if f.Section == section {
				frames = append(frames, f)
			}
		}
		some := slices.Compact([]int{0, len(frames) / 2, len(frames) - 1})
		if s.size > 16<<20 {
			some = []int{len(frames) / 2}
		}
		for _, i := range some {
			out = append(out, frames[i])
		}
	}
	return out
}

// TestEveryBitOfAFrameCounts flips every bit of one small frame: no bit of a
// compressed frame is idle.
func TestEveryBitOfAFrameCounts(t *testing.T) {
	data := write(t, bundletest.Small(owner).Input())
	s := &subject{r: bytes.NewReader(data), size: int64(len(data)), policy: owner.Policy(bundletest.Tenant)}
	var err error
	if s.frames, err = bundle.FramesOf(s.r, s.size, s.policy); err != nil {
		t.Fatal(err)
	}
	f := s.frames[0]
	if err := f.Read(s.r); err != nil {
		t.Fatal(err)
	}
	for i := range int64(f.Frame.Stored) {
		for bit := range 8 {
			if f.Read(flipped{s.r, f.Offset + i, 1 << bit}) == nil {
				t.Fatalf("bit %d of byte %d of the frame was flipped and the frame was taken", bit, i)
			}
		}
	}
}

// TestLargeTruncated cuts a large bundle: at and around every frame, in all of its
// last bytes, and at random lengths. TestTruncatedAndExtended cuts a small one to
// every length.
func TestLargeTruncated(t *testing.T) {
	s := largeSubject(t)
	random := rand.New(rand.NewPCG(10_000, 2))
	var lengths []int64
	for _, f := range s.frames {
		for d := int64(-8); d <= 8; d++ {
			lengths = append(lengths, f.Offset+d, f.Offset+int64(f.Frame.Stored)+d)
		}
	}
	for n := int64(1); n <= 1024; n++ {
		lengths = append(lengths, s.size-n, n-1)
	}
	for range 1000 {
		lengths = append(lengths, random.Int64N(s.size))
	}
	for _, n := range lengths {
		if n < 0 || n >= s.size {
			continue
		}
		if report, err := s.verify(io.NewSectionReader(s.r, 0, n), n); err == nil || report != nil {
			t.Fatalf("the first %d of %d bytes were taken for a bundle", n, s.size)
		}
		// The beginning is missing instead of the end.
		if report, err := s.verify(io.NewSectionReader(s.r, s.size-n, n), n); err == nil || report != nil {
			t.Fatalf("the last %d of %d bytes were taken for a bundle", n, s.size)
		}
	}
	t.Logf("%d lengths of %d bytes", len(lengths), s.size)
}

// without shows a file with a run of bytes cut out of it.
type without struct {
	io.ReaderAt
	at, n int64
}

func (w without) ReadAt(p []byte, off int64) (int, error) {
	if off >= w.at {
		return w.ReaderAt.ReadAt(p, off+w.n)
	}
	before := min(int64(len(p)), w.at-off)
	n, err := w.ReaderAt.ReadAt(p[:before], off)
	if err != nil || int64(len(p)) == before {
		return n, err
	}
	rest, err := w.ReaderAt.ReadAt(p[before:], w.at+w.n)
	return n + rest, err
}

// TestCutOut takes whole frames, and any other run of bytes, out of the middle of a
// large bundle: its beginning and its end are as they were.
func TestCutOut(t *testing.T) {
	s := largeSubject(t)
	random := rand.New(rand.NewPCG(10_000, 3))
	cut := func(at, n int64) {
		if report, err := s.verify(without{s.r, at, n}, s.size-n); err == nil || report != nil {
			t.Fatalf("%d bytes were cut out at %d and the bundle was taken", n, at)
		}
	}
	for _, f := range s.frames {
		cut(f.Offset, int64(f.Frame.Stored))
	}
	for range 1000 {
		at := random.Int64N(s.size - 1)
		cut(at, 1+random.Int64N(min(s.size-1-at, 1<<20)))
	}
}
