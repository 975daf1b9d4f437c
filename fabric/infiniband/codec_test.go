package infiniband

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/fabric"
	"bulkhead/site"
)

func row(port int, own uint32) fabric.Reading {
	r := fabric.Compile(site.InfiniBand, own)
	return fabric.Reading{LeafPort: port, NIC: r.NIC, Leaf: r.Leaf, EnforceIn: true, EnforceOut: true, Neighbour: 0x02_0000_0000 + uint64(port)}
}

var header = Header{GUID: 0xb83fd20300aabbcc, LeafCap: 32, NICCap: 64}

func TestWireForm(t *testing.T) {
	raw, err := Encode(header, []fabric.Reading{row(7, 0x1234)})
	if err != nil {
		t.Fatal(err)
	}
	if want := 8 + 40 + 20 + 1 + (1 + 64 + 64 + 1 + 40 + 128); len(raw) != want {
		t.Fatalf("%d bytes, expected %d", len(raw), want)
	}
	port := raw[69:]
	if port[0] != 7 || port[1+43] != 0x0c {
		t.Errorf("port %d, PortInfo byte 43 is %#x: expected 7 and both enforcement bits", port[0], port[1+43])
	}
	keys := port[1+64:]
	if a, b := binary.BigEndian.Uint16(keys), binary.BigEndian.Uint16(keys[2:]); a != 0x7fff || b != 0x9234 {
		t.Errorf("leaf P_Keys %#x, %#x: expected 0x7fff limited and 0x1234 full", a, b)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Header{GUID: rapid.Uint64().Draw(t, "guid"), LeafCap: rapid.IntRange(1, 70).Draw(t, "leaf table"), NICCap: rapid.IntRange(1, 130).Draw(t, "nic table")}
		table := func(name string, limit int) []fabric.Member {
			m := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) fabric.Member {
				m := fabric.Limited(rapid.Uint32Range(1, 0x7fff).Draw(t, "key"))
				if rapid.Bool().Draw(t, "full") {
					m |= fabric.FullBit
				}
				return m
			}), 0, limit, func(m fabric.Member) fabric.Member { return m }).Draw(t, name)
			if len(m) == 0 {
				return nil
			}
			return m
		}
		readings := []fabric.Reading{}
		port := 0
		for range rapid.IntRange(0, 5).Draw(t, "ports") {
			port += rapid.IntRange(1, 40).Draw(t, "step")
			r := fabric.Reading{LeafPort: port, Leaf: table("leaf", h.LeafCap), EnforceIn: rapid.Bool().Draw(t, "in"), EnforceOut: rapid.Bool().Draw(t, "out")}
			r.Full = len(r.Leaf) == h.LeafCap
			if rapid.Bool().Draw(t, "present") {
				r.Neighbour = rapid.Uint64Min(1).Draw(t, "neighbour")
				r.NIC = table("nic", h.NICCap)
				r.Full = r.Full || len(r.NIC) == h.NICCap
			}
			readings = append(readings, r)
		}
		raw, err := Encode(h, readings)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, readings) {
			t.Fatalf("read %+v\nwrote %+v", got, readings)
		}
		if back, err := DecodeHeader(raw); err != nil || back.GUID != h.GUID || back.LeafCap != h.LeafCap {
			t.Fatalf("header %+v, %v", back, err)
		}
		// Every prefix is cut off, every longer one has bytes left over.
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := Decode(raw[:cut]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", cut, len(raw))
		}
		if _, err := Decode(append(bytes.Clone(raw), 0)); err == nil {
			t.Fatal("a byte too many was accepted")
		}
	})
}

func TestTableFull(t *testing.T) {
	r := row(1, 5)
	h := Header{LeafCap: 32, NICCap: 2}
	raw, err := Encode(h, []fabric.Reading{r})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(raw)
	if err != nil || !got[0].Full {
		t.Fatalf("2 of 2 P_Keys: full %t, %v", got[0].Full, err)
	}
	// A key of 0 with the membership bit takes an entry and matches nothing.
	h.NICCap = 3
	raw, _ = Encode(h, []fabric.Reading{r})
	binary.BigEndian.PutUint16(raw[len(raw)-64+4:], 0x8000)
	got, err = Decode(raw)
	if err != nil || !got[0].Full || len(got[0].NIC) != 2 {
		t.Fatalf("2 P_Keys and a void one of 3: %+v, %v", got, err)
	}
	// A switch without P_Key tables enforces nothing, whatever it says.
	r.Leaf = nil
	raw, err = Encode(Header{LeafCap: 0, NICCap: 64}, []fabric.Reading{r})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = Decode(raw); err != nil || got[0].EnforceIn || got[0].EnforceOut {
		t.Fatalf("enforcement without a table: %+v, %v", got, err)
	}
}

func TestRefuses(t *testing.T) {
	good, err := Encode(header, []fabric.Reading{row(1, 5), row(2, 5)})
	if err != nil {
		t.Fatal(err)
	}
	const first = 69 // offset of the first port
	const port = 298 // bytes a port
	for name, spoil := range map[string]func(b []byte){
		"magic":                func(b []byte) { b[0] ^= 1 },
		"not a switch":         func(b []byte) { b[8+2] = 1 },
		"huge leaf table":      func(b []byte) { b[48+14] = 0xff },
		"ports out of order":   func(b []byte) { b[first] = 2 },
		"port 0":               func(b []byte) { b[first] = 0 },
		"more ports":           func(b []byte) { b[first-1] = 3 },
		"fewer ports":          func(b []byte) { b[first-1] = 1 },
		"presence":             func(b []byte) { b[first+1+64+64] = 2 },
		"no GUID":              func(b []byte) { clear(b[first+130+20 : first+130+28]) },
		"key beyond the table": func(b []byte) { b[first+130+29] = 63; b[first+port-1] = 1 },
	} {
		b := bytes.Clone(good)
		spoil(b)
		if _, err := Decode(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, readings := range map[string][]fabric.Reading{
		"out of order":     {row(2, 5), row(1, 5)},
		"no such key":      {{LeafPort: 1, Leaf: []fabric.Member{fabric.Full(0x8000)}}},
		"too many keys":    {{LeafPort: 1, Leaf: make([]fabric.Member, 33)}},
		"NIC without node": {{LeafPort: 1, NIC: []fabric.Member{fabric.Full(1)}}},
	} {
		if _, err := Encode(header, readings); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// FuzzDecode: whatever the bytes, decoding ends, and what it accepts can be
// written and read again to the same readings.
func FuzzDecode(f *testing.F) {
	raw, err := Encode(header, []fabric.Reading{row(1, 5), {LeafPort: 2}, row(64, 0x7ffe)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:100])
	f.Add([]byte(magic))
	f.Add(Follow(raw, nil))
	f.Add(Follow(raw, []Unreached{{LeafPort: 1, Address: true}, {LeafPort: 64, Missed: 3, One: 7}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, readings, err := decode(raw)
		if err != nil {
			return
		}
		h.NICCap = maxCap
		for i := range readings {
			r := &readings[i]
			for _, m := range r.Leaf {
				if !m.Valid() {
					t.Fatalf("port %d: member %#x", r.LeafPort, uint32(m))
				}
			}
			r.Full = false
		}
		again, err := Encode(h, readings)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if bytes.HasPrefix(raw, []byte(followed)) {
			again = Follow(again, unreached(readings))
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		for i := range back {
			back[i].Full = false
			if h.LeafCap == 0 {
				readings[i].EnforceIn, readings[i].EnforceOut = false, false
			}
		}
		if !reflect.DeepEqual(back, readings) {
			t.Fatalf("read %+v, then %+v", readings, back)
		}
	})
}

func BenchmarkDecode6256Leaves(b *testing.B) {
	var readings []fabric.Reading
	for p := 1; p <= 64; p++ {
		readings = append(readings, row(p, 5))
	}
	raw, err := Encode(header, readings)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)) * 6256)
	b.ReportAllocs()
	for b.Loop() {
		for range 6256 {
			if r, err := Decode(raw); err != nil || len(r) != 64 {
				b.Fatal(err)
			}
		}
	}
}
