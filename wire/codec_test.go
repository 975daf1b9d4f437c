package wire

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
)

func times(t *rapid.T) time.Time {
	return time.Unix(0, rapid.Int64().Draw(t, "time")).UTC()
}

func members(t *rapid.T) []fabric.Member {
	m := rapid.SliceOfN(rapid.Uint32(), 0, 5).Draw(t, "members")
	if len(m) == 0 {
		return nil
	}
	out := make([]fabric.Member, len(m))
	for i := range m {
		out[i] = fabric.Member(m[i])
	}
	return out
}

func raw(t *rapid.T) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "raw")
	if len(b) == 0 {
		return nil
	}
	return b
}

func TestMessagesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := fabric.Change{ID: rapid.String().Draw(t, "id"), Fabric: rapid.String().Draw(t, "fabric"), Ports: []fabric.PortRow{}}
		v := fabric.Observation{Cursor: rapid.Uint64().Draw(t, "cursor"), At: times(t), Fresh: rapid.Bool().Draw(t, "fresh")}
		o := node.Observation{Cursor: v.Cursor, At: v.At, More: v.Fresh}
		if rapid.Bool().Draw(t, "numbered") {
			c.Numbering, v.Numbering = claim.DigestOf([]byte(c.ID)), claim.DigestOf([]byte(c.Fabric))
		}
		steps := []node.Step{}
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			c.Ports = append(c.Ports, fabric.PortRow{Port: site.Port(rapid.Uint32().Draw(t, "port")), Row: fabric.Row{
				NIC: members(t), Leaf: members(t), EnforceIn: rapid.Bool().Draw(t, "in"), EnforceOut: rapid.Bool().Draw(t, "out"), Class: rapid.Byte().Draw(t, "class")}})
			v.Devices = append(v.Devices, fabric.DeviceReading{Leaf: site.Leaf(rapid.Uint32().Draw(t, "leaf")), Reachable: rapid.Bool().Draw(t, "up"), Source: rapid.String().Draw(t, "source"), At: times(t), Raw: raw(t)})
			r := node.Report{Node: site.Index(rapid.Uint32().Draw(t, "node")), At: times(t), Step: rapid.String().Draw(t, "step"), OK: rapid.Bool().Draw(t, "ok"), Error: rapid.String().Draw(t, "error"), Raw: raw(t)}
			if rapid.Bool().Draw(t, "health") {
				r.Health = &node.Health{Class: rapid.String().Draw(t, "class"), Alive: rapid.Bool().Draw(t, "alive"), Failed: rapid.Bool().Draw(t, "failed"), Detail: rapid.String().Draw(t, "detail")}
			}
			o.Reports = append(o.Reports, r)
			steps = append(steps, node.Step{ID: rapid.String().Draw(t, "id"), Node: r.Node, Kind: rapid.String().Draw(t, "kind"), Turnover: rapid.Uint32().Draw(t, "turnover"), Attempt: rapid.Int().Draw(t, "attempt"), Nonce: [32]byte{1, 2, 3}})
		}
		fence := fabric.Fence{Term: rapid.Uint64().Draw(t, "term"), Generation: rapid.Uint64().Draw(t, "generation")}
		same := func(got, want any, err error) {
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v came back as %+v, error %v", want, got, err)
			}
		}
		c2, f2, err := decodeChange(encodeChange(&c, fence))
		same(c2, c, err)
		same(f2, fence, nil)
		v2, err := decodeReadback(encodeReadback(&v))
		same(v2, v, err)
		o2, err := decodeReports(encodeReports(&o))
		same(o2, o, err)
		s2, sf, err := decodeSteps(encodeSteps(steps, node.Fence(fence)))
		same(s2, steps, err)
		same(sf, node.Fence(fence), nil)
	})
}

// Whatever is decoded is encoded again to the same meaning; nothing panics, and
// no message makes more memory than it has bytes for.
func FuzzDecode(f *testing.F) {
	f.Add(encodeChange(&fabric.Change{ID: "x", Ports: []fabric.PortRow{{Port: 3, Row: fabric.Compile(site.InfiniBand, 7)}}}, fabric.Fence{Term: 1}))
	f.Add(encodeReadback(&fabric.Observation{Cursor: 1, Devices: []fabric.DeviceReading{{Leaf: 1, Raw: []byte("raw")}}}))
	f.Add(encodeReports(&node.Observation{Cursor: 1, Reports: []node.Report{{Node: 1, Health: &node.Health{Class: "gpu-reset"}}}}))
	f.Add(encodeSteps([]node.Step{{ID: "a"}}, node.Fence{}))
	f.Add(encodeAnswers([]fabric.Answer{{Observation: fabric.Observation{Cursor: 1}}, {Err: fabric.ErrFenced}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := decodeAnswers(data); err == nil {
			if again, err := decodeAnswers(encodeAnswers(a)); err != nil || len(again) != len(a) {
				t.Fatal("answers", err)
			}
		}
		if c, fence, err := decodeChange(data); err == nil {
			if again, _, err := decodeChange(encodeChange(&c, fence)); err != nil || !reflect.DeepEqual(again, c) {
				t.Fatal("change", err)
			}
		}
		if v, err := decodeReadback(data); err == nil {
			if _, err := decodeReadback(encodeReadback(&v)); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := decodeReports(data); err == nil {
			if _, err := decodeReports(encodeReports(&o)); err != nil {
				t.Fatal(err)
			}
		}
		if s, fence, err := decodeSteps(data); err == nil {
			if _, _, err := decodeSteps(encodeSteps(s, fence)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Every cut of a message is an error.
func TestCutMessages(t *testing.T) {
	whole := encodeChange(&fabric.Change{ID: "x", Fabric: "roce", Ports: []fabric.PortRow{{Port: 3, Row: fabric.Compile(site.InfiniBand, 7)}}}, fabric.Fence{Term: 1})
	for n := range whole {
		if _, _, err := decodeChange(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
	if _, _, err := decodeChange(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("a byte after the end was accepted")
	}
}
