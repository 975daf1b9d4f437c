package ethernet

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/fabric"
)

func row(port int, own uint32) fabric.Reading {
	r := fabric.Compile(Family, own)
	return fabric.Reading{LeafPort: port, Leaf: r.Leaf, EnforceIn: true, EnforceOut: true, Neighbour: 0x020000000000 + uint64(port)}
}

var header = Header{Switch: "a1-su00-leaf0", TableSize: 4094}

const example = `{"version":1,"switch":"a1-su00-leaf0","vlan_table":{"used":2,"size":4094},"ports":[` +
	`{"port":1,"filter_in":true,"filter_out":true,"vlans":[{"vid":2,"vni":4097,"isolated":false}],"class":0,"lldp":"02:00:00:00:00:01","fdb":"02:00:00:00:00:01"},` +
	`{"port":2,"filter_in":true,"filter_out":true,"vlans":[{"vid":3,"vni":16777214,"isolated":true}],"class":0,"lldp":"02:00:00:00:00:02","fdb":"02:00:00:00:00:02"}]}`

func TestForm(t *testing.T) {
	raw, err := Encode(header, []fabric.Reading{row(1, 4097), row(2, 0xfffffe)})
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != example {
		t.Fatalf("wrote\n%s, expected\n%s", raw, example)
	}
	if !json.Valid(raw) {
		t.Fatal("not JSON")
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		readings := []fabric.Reading{}
		port := 0
		for range rapid.IntRange(0, 6).Draw(t, "ports") {
			port += rapid.IntRange(1, 80).Draw(t, "step")
			r := fabric.Reading{LeafPort: port, EnforceIn: rapid.Bool().Draw(t, "in"), EnforceOut: rapid.Bool().Draw(t, "out"),
				Class: rapid.Uint8Range(0, 7).Draw(t, "class")}
			// Local VLANs are above those that Encode gives to VNIs, so their
			// order is known.
			values := rapid.SliceOfNDistinct(rapid.OneOf(rapid.Uint32Range(2000, 2003), rapid.Uint32Range(4095, 4099)), 0, 4, rapid.ID[uint32]).Draw(t, "values")
			for _, v := range values {
				m := fabric.Limited(v)
				if rapid.Bool().Draw(t, "full") {
					m |= fabric.FullBit
				}
				r.Leaf = append(r.Leaf, m)
			}
			if rapid.Bool().Draw(t, "present") {
				r.Neighbour = rapid.Uint64Range(1, maxMAC).Draw(t, "neighbour")
			}
			readings = append(readings, r)
		}
		raw, err := Encode(header, readings)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(raw) {
			t.Fatalf("not JSON: %s", raw)
		}
		got, err := Decode(raw)
		if err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		sorted(readings)
		sorted(got)
		if !reflect.DeepEqual(got, readings) {
			t.Fatalf("read %+v\nwrote %+v", got, readings)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := Decode(raw[:cut]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", cut, len(raw))
		}
	})
}

func sorted(readings []fabric.Reading) {
	for i := range readings {
		slices.Sort(readings[i].Leaf)
	}
}

func TestMeaning(t *testing.T) {
	change := func(old, new string) []fabric.Reading {
		t.Helper()
		text := strings.Replace(example, old, new, 1)
		if text == example {
			t.Fatalf("%s is not in the example", old)
		}
		r, err := Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := change(`"used":2`, `"used":4094`); !r[0].Full || !r[1].Full {
		t.Error("a full VLAN table was not seen")
	}
	if r := change(`"fdb":"02:00:00:00:00:01"`, `"fdb":"02:00:00:00:00:ff"`); r[0].Neighbour != fabric.NeighbourConflict {
		t.Errorf("neighbours that contradict each other gave %#x", r[0].Neighbour)
	}
	if r := change(`"fdb":"02:00:00:00:00:01"`, `"fdb":""`); r[0].Neighbour != 0x020000000001 {
		t.Errorf("LLDP alone gave %#x", r[0].Neighbour)
	}
	if r := change(`"lldp":"02:00:00:00:00:01"`, `"lldp":""`); r[0].Neighbour != 0x020000000001 {
		t.Errorf("the forwarding table alone gave %#x", r[0].Neighbour)
	}
	if r := change(`"vid":2,"vni":4097`, `"vid":2,"vni":0`); r[0].Leaf[0] != fabric.Full(2) {
		t.Errorf("a VLAN without a VNI gave %s", r[0].Leaf[0])
	}
	if r := change(`"filter_in":true`, `"filter_in":false`); r[0].EnforceIn || !r[0].EnforceOut {
		t.Error("a port that filters out only")
	}
}

func TestRefuses(t *testing.T) {
	for name, pair := range map[string][2]string{
		"version":                {`"version":1`, `"version":2`},
		"space":                  {`,"switch"`, `, "switch"`},
		"name":                   {`a1-su00-leaf0`, `a1 su00`},
		"no name":                {`a1-su00-leaf0`, ``},
		"used over size":         {`"used":2`, `"used":4095`},
		"long number":            {`"port":1,`, `"port":01,`},
		"negative":               {`"port":1,`, `"port":-1,`},
		"fraction":               {`"port":1,`, `"port":1.0,`},
		"port 0":                 {`"port":1,`, `"port":0,`},
		"ports out of order":     {`"port":1,`, `"port":2,`},
		"huge port":              {`"port":2,`, `"port":99999999999999999999,`},
		"vid 4095":               {`"vid":2,`, `"vid":4095,`},
		"vid 0":                  {`"vid":2,`, `"vid":0,`},
		"vni of 25 bits":         {`"vni":4097`, `"vni":16777216`},
		"vni like a vid":         {`"vni":4097`, `"vni":4094`},
		"two vids for a vni":     {`"vni":4097`, `"vni":16777214`},
		"two vnis for a vid":     {`"vid":3,`, `"vid":2,`},
		"repeated vid":           {`}],"class"`, `},{"vid":2,"vni":4097,"isolated":false}],"class"`},
		"class 8":                {`"class":0`, `"class":8`},
		"short MAC":              {`02:00:00:00:00:01`, `02:00:00:00:01`},
		"upper-case MAC":         {`02:00:00:00:00:01`, `0A:00:00:00:00:01`},
		"MAC 0":                  {`02:00:00:00:00:01`, `00:00:00:00:00:00`},
		"null":                   {`"filter_in":true`, `"filter_in":null`},
		"unknown field":          {`"class":0`, `"x":1,"class":0`},
		"trailing comma":         {`}]}`, `},]}`},
		"bytes after the end":    {`02"}]}`, `02"}]} `},
		"MAC with other colons":  {`"lldp":"02:00:00:00:00:01"`, `"lldp":"02-00-00-00-00-01"`},
		"quote missing in a MAC": {`"lldp":"02:00:00:00:00:01"`, `"lldp":"02:00:00:00:00:011`},
	} {
		text := strings.Replace(example, pair[0], pair[1], 1)
		if text == example {
			t.Errorf("%s: %s is not in the example", name, pair[0])
		}
		if _, err := Decode([]byte(text)); err == nil {
			t.Errorf("%s: accepted %s", name, text)
		}
	}
	for name, readings := range map[string][]fabric.Reading{
		"out of order": {row(2, 5000), row(1, 5000)},
		"conflict":     {{LeafPort: 1, Neighbour: fabric.NeighbourConflict}},
		"NIC table":    {{LeafPort: 1, NIC: []fabric.Member{fabric.Full(1)}}},
		"no value":     {{LeafPort: 1, Leaf: []fabric.Member{0}}},
		"full and not": {{LeafPort: 1, Leaf: []fabric.Member{fabric.Full(5000), fabric.Limited(5000)}}},
		"class":        {{LeafPort: 1, Class: 8}},
	} {
		if _, err := Encode(header, readings); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// FuzzDecode: whatever the bytes, decoding ends; what it accepts is JSON, and
// has members that are members.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(example[:200]))
	f.Add([]byte(`{"version":1,"switch":"x","vlan_table":{"used":0,"size":0},"ports":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, readings, err := decode(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("accepted what is not JSON: %q", raw)
		}
		for i := range readings {
			for _, m := range readings[i].Leaf {
				if !m.Valid() {
					t.Fatalf("port %d: member %#x", readings[i].LeafPort, uint32(m))
				}
			}
			if readings[i].Neighbour == fabric.NeighbourConflict {
				return // cannot be written
			}
		}
		h.TableUsed, h.TableSize = 0, 1<<20
		again, err := Encode(h, readings)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("%v in %s", err, again)
		}
		for i := range readings {
			readings[i].Full = false
		}
		sorted(readings)
		sorted(back)
		if !reflect.DeepEqual(back, readings) && !bytes.Equal(raw, again) {
			t.Fatalf("read %+v, then %+v", readings, back)
		}
	})
}

func BenchmarkDecode6256Leaves(b *testing.B) {
	var readings []fabric.Reading
	for p := 1; p <= 64; p++ {
		readings = append(readings, row(p, 5000))
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
