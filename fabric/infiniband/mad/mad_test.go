package mad

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// attribute is one decoder: what Encode(Parse(d)) gives, and which bits of d the
// specification gives no meaning (a mask of bits for a byte).
type attribute struct {
	name     string
	again    func(d *Data) (value any, d2 Data)
	reserved map[int]byte
	size     int // bytes that have a meaning at all
}

var attributes = []attribute{
	{"NodeInfo", func(d *Data) (any, Data) { v := ParseNodeInfo(d); return v, v.Encode() }, nil, 40},
	{"SwitchInfo", func(d *Data) (any, Data) { v := ParseSwitchInfo(d); return v, v.Encode() }, map[int]byte{16: 0x07, 17: 0xff}, 20},
	{"GUIDInfo", func(d *Data) (any, Data) { v := ParseGUIDBlock(d); return v, v.Encode() }, nil, 64},
	{"PortInfo", func(d *Data) (any, Data) { v := ParsePortInfo(d); return v, v.Encode() }, map[int]byte{34: 0x38, 52: 0xe0, 56: 0xff, 63: 0xe0}, 64},
	{"P_KeyTable", func(d *Data) (any, Data) { v := ParsePKeyBlock(d); return v, v.Encode() }, nil, 64},
	{"SMInfo", func(d *Data) (any, Data) { v := ParseSMInfo(d); return v, v.Encode() }, nil, 21},
	{"Notice", func(d *Data) (any, Data) { v := ParseNotice(d); return v, v.Encode() }, nil, 64},
	{"LinkChange", details(func(d *Details) (any, Details) { v := ParseLinkChange(d); return v, v.Encode() }), nil, 2},
	{"LocalChange", details(func(d *Details) (any, Details) { v := ParseLocalChange(d); return v, v.Encode() }),
		map[int]byte{0: 0xff, 1: 0xff, 4: 0xff, 5: 0xfe, 10: 0xff, 11: 0xc0}, 12},
	{"BadMKey", details(func(d *Details) (any, Details) { v := ParseBadMKey(d); return v, v.Encode() }),
		map[int]byte{0: 0xff, 1: 0xff, 7: 0xff, 22: 0xff}, 54},
	{"BadKey", details(func(d *Details) (any, Details) { v := ParseBadKey(d); return v, v.Encode() }),
		map[int]byte{0: 0xff, 1: 0xff, 10: 0x0f, 14: 0xff}, 50},
	{"BadPKeySwitch", details(func(d *Details) (any, Details) { v := ParseBadPKeySwitch(d); return v, v.Encode() }),
		map[int]byte{8: 0x0f, 12: 0xff}, 51},
	{"InformInfo", func(d *Data) (any, Data) {
		var b [SADataSize]byte
		copy(b[:], d[:])
		v := ParseInformInfo(&b)
		b = v.Encode()
		return v, Data(b[:])
	}, map[int]byte{20: 0xff, 21: 0xff, 22: 0xfe, 23: 0xfe, 31: 0xe0, 32: 0xff}, 36},
}

// details makes an attribute of what reads a notice's details.
func details(f func(*Details) (any, Details)) func(*Data) (any, Data) {
	return func(d *Data) (any, Data) {
		in := Details(d[:noticeDetails])
		v, out := f(&in)
		var d2 Data
		copy(d2[:], out[:])
		return v, d2
	}
}

func (a attribute) canonical(d Data) Data {
	for at, bits := range a.reserved {
		d[at] &^= bits
	}
	clear(d[a.size:])
	return d
}

func (a attribute) check(t *testing.T, d Data) {
	t.Helper()
	v, again := a.again(&d)
	if want := a.canonical(d); again != want {
		t.Fatalf("%s: encoded\n% x\nof\n% x\nexpected\n% x", a.name, again, d, want)
	}
	if v2, _ := a.again(&again); !reflect.DeepEqual(v, v2) {
		t.Fatalf("%s: %+v, after a round trip %+v", a.name, v, v2)
	}
}

func TestAttributesKeepEveryBit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, a := range attributes {
		t.Run(a.name, func(t *testing.T) {
			for at := range 64 { // each bit by itself, so that no two fields overlap
				for bit := range 8 {
					var d Data
					d[at] = 1 << bit
					a.check(t, d)
				}
			}
			for range 500 {
				var d Data
				for i := range d {
					d[i] = byte(random.Uint32())
				}
				a.check(t, d)
			}
		})
	}
}

// TestEveryFieldIsRead finds a field that Parse forgets: with every bit set no
// field may be zero.
func TestEveryFieldIsRead(t *testing.T) {
	all := Data(bytes.Repeat([]byte{0xff}, 64))
	for _, a := range attributes {
		v, _ := a.again(&all)
		value := reflect.ValueOf(v)
		if value.Kind() != reflect.Struct {
			continue
		}
		for i := range value.NumField() {
			if value.Field(i).IsZero() {
				t.Errorf("%s.%s is not read", a.name, value.Type().Field(i).Name)
			}
		}
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add(bytes.Repeat([]byte{0xa5, 0x0f}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Data
		copy(d[:], b)
		for _, a := range attributes {
			a.check(t, d)
		}
		if text := ParseNodeDescription(&d); len(text) > 64 || ParseNodeDescription(ptr(text.Encode())) != text {
			t.Fatalf("node description %q", text)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func FuzzPackets(f *testing.F) {
	s, _ := NewByRoute(Get, AttrPortInfo, 7, []byte{1, 2, 3})
	s.TID, s.MKey = 0x1122334455667788, 0xfeed
	directed, byLID := s.Encode(), ptr(NewByLID(Set, AttrPKeyTable, PKeyModifier(9, 1))).Encode()
	sa := (&SA{Method: GetTable, Attribute: AttrPKeyRecord, Components: 5, SMKey: 1, RMPP: RMPP{Version: 1, Type: 2, Flags: 7}}).Encode()
	f.Add(directed[:])
	f.Add(byLID[:])
	f.Add(sa[:])
	report := (&SA{Method: Report, Attribute: AttrNotice, TID: 7}).Encode()
	f.Add(report[:])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if (err == nil) != (len(b) == Size) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err != nil {
			return
		}
		h := p.Header()
		again := p
		again.SetHeader(h)
		again[18], again[19] = p[18], p[19] // reserved
		if again != p {
			t.Fatalf("header %+v: % x", h, again[:HeaderSize])
		}
		if s, err := ParseSMP(&p); err == nil {
			e := s.Encode()
			s2, err := ParseSMP(&e)
			if err != nil || s2 != s {
				t.Fatalf("SMP %+v, again %+v, %v", s, s2, err)
			}
			if len(s.Route()) > MaxHops {
				t.Fatal("a route beyond the limit")
			}
			a := s.Answer(StatusOK, s.Data)
			if a.MKey != 0 || a.TID != s.TID || !a.Method.IsResponse() {
				t.Fatalf("answer %+v", a)
			}
		}
		if s, err := ParseSA(&p); err == nil {
			e := s.Encode()
			if s2, err := ParseSA(&e); err != nil || s2 != s {
				t.Fatalf("SA %+v, again %+v, %v", s, s2, err)
			}
			r, err := ParseReport(&p)
			if is := s.Method == Report && s.Attribute == AttrNotice; is != (err == nil) {
				t.Fatalf("%s of 0x%04x is a report: %v", s.Method, s.Attribute, err)
			}
			if err != nil {
				return
			}
			a := r.Answer()
			if back := a.Header(); back.Method != ReportResp || back.TID != s.TID || !bytes.Equal(a[HeaderSize:], p[HeaderSize:]) {
				t.Fatalf("the answer to report % x is % x", p, a)
			}
		}
	})
}

// TestSMPOnTheWire checks the places of the fields against a packet written by
// hand from the tables of 14.2.1.2.
func TestSMPOnTheWire(t *testing.T) {
	s, err := NewByRoute(Get, AttrNodeInfo, 0x01020304, []byte{5, 6})
	if err != nil {
		t.Fatal(err)
	}
	s.TID, s.MKey = 0x1112131415161718, 0x2122232425262728
	s.Data[0], s.Data[63] = 0xaa, 0xbb
	p := s.Encode()
	want := Packet{0: 1, 1: 0x81, 2: 1, 3: 1, 6: 0, 7: 2,
		8: 0x11, 9: 0x12, 10: 0x13, 11: 0x14, 12: 0x15, 13: 0x16, 14: 0x17, 15: 0x18,
		16: 0, 17: 0x11, 20: 1, 21: 2, 22: 3, 23: 4,
		24: 0x21, 25: 0x22, 26: 0x23, 27: 0x24, 28: 0x25, 29: 0x26, 30: 0x27, 31: 0x28,
		32: 0xff, 33: 0xff, 34: 0xff, 35: 0xff, 64: 0xaa, 127: 0xbb, 129: 5, 130: 6}
	if p != want {
		t.Fatalf("got\n% x\nexpected\n% x", p, want)
	}
	if string(s.Route()) != "\x05\x06" {
		t.Fatalf("route %v", s.Route())
	}
	a := s.Answer(StatusInvalidValue, Data{})
	ap := a.Encode()
	if ap[4] != 0x80 || ap[5] != 0x1c || ap[3] != 0x81 || ap[24] != 0 {
		t.Fatalf("answer % x", ap[:32])
	}
	if back, err := ParseSMP(&ap); err != nil || !back.Returning || back.Status != StatusInvalidValue {
		t.Fatalf("answer %+v, %v", back, err)
	}
}

func TestSMPRefuses(t *testing.T) {
	good, _ := NewByRoute(Get, AttrNodeInfo, 0, nil)
	for name, spoil := range map[string]func(p *Packet){
		"another class":         func(p *Packet) { p[1] = 4 },
		"another base version":  func(p *Packet) { p[0] = 2 },
		"another class version": func(p *Packet) { p[2] = 2 },
		"a hop too many":        func(p *Packet) { p[7] = 64 },
		"a pointer too far":     func(p *Packet) { p[6] = 65 },
	} {
		p := good.Encode()
		spoil(&p)
		if _, err := ParseSMP(&p); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := NewByRoute(Get, AttrNodeInfo, 0, make([]byte, 64)); err == nil {
		t.Error("a route of 64 hops was made")
	}
}

func TestSAOnTheWire(t *testing.T) {
	s := SA{Method: GetTable, TID: 1, Attribute: AttrNodeRecord, SMKey: 0x0102030405060708, AttributeOffset: 14,
		Components: 0x10, RMPP: RMPP{Version: 1, Type: RMPPData, RRespTime: 31, Flags: RMPPActive | 4, Data1: 3, Data2: 220}}
	s.Data[0], s.Data[199] = 7, 9
	p := s.Encode()
	for at, want := range map[int]byte{1: 3, 2: 2, 3: 0x12, 24: 1, 25: 1, 26: 0xfd, 31: 3, 35: 220, 36: 1, 43: 8, 45: 14, 55: 0x10, 56: 7, 255: 9} {
		if p[at] != want {
			t.Errorf("byte %d is 0x%02x, expected 0x%02x", at, p[at], want)
		}
	}
}

// TestInformOnTheWire checks the places of the fields against the table of 13.4.8.3,
// and that a report keeps its issuer behind the notice.
func TestInformOnTheWire(t *testing.T) {
	i := InformInfo{GID: [16]byte{15: 9}, FirstLID: 0x0102, LastLID: 0x0304, Generic: true, Subscribe: true, Kind: 0x0506, Number: 0x0708,
		QPN: 0x090a0b, RespTime: 19, Producer: 0x0c0d0e}
	want := [SADataSize]byte{15: 9, 16: 1, 17: 2, 18: 3, 19: 4, 22: 1, 23: 1, 24: 5, 25: 6, 26: 7, 27: 8, 28: 9, 29: 10, 30: 11, 31: 19, 33: 12, 34: 13, 35: 14}
	if got := i.Encode(); got != want {
		t.Errorf("got\n% x\nexpected\n% x", got, want)
	}
	notice := Notice{Generic: true, Number: TrapBadPKeySwitch, Issuer: 4}
	s := SA{Method: Report, TID: 5, Attribute: AttrNotice}
	d := notice.Encode()
	copy(s.Data[:], d[:])
	s.Data[79] = 0x77
	p := s.Encode()
	r, err := ParseReport(&p)
	if err != nil || r.Notice != notice || r.Issuer != [16]byte{15: 0x77} {
		t.Errorf("%+v, %v", r, err)
	}
	s.Method = Trap
	p = s.Encode()
	if _, err := ParseReport(&p); err == nil {
		t.Error("a trap was read as a report")
	}
}

func TestStatusSaysWhatItMeans(t *testing.T) {
	for s, want := range map[Status]string{
		StatusOK: "ok", StatusBusy: "busy", StatusBusy | StatusRedirect: "busy, redirect required",
		StatusMethodUnsupported: "method not supported", StatusInvalidValue: "invalid value in attribute or modifier",
		0x0010: "reserved code 4", 0x0300: "class status 0x03", 0x0020: "status 0x0020",
	} {
		if got := s.String(); got != want {
			t.Errorf("0x%04x says %q, expected %q", uint16(s), got, want)
		}
	}
}

func TestPKeyModifier(t *testing.T) {
	if m := PKeyModifier(36, 1); m != 0x00240001 {
		t.Errorf("0x%08x", m)
	}
	if port, block, err := ParsePKeyModifier(0x00240001); port != 36 || block != 1 || err != nil {
		t.Errorf("port %d block %d %v", port, block, err)
	}
	if _, _, err := ParsePKeyModifier(0x01000000); err == nil {
		t.Error("port 256 was read")
	}
	for entries, want := range map[uint16]int{0: 0, 1: 1, 32: 1, 33: 2, 64: 2, 65535: 2048} {
		if got := Blocks(entries); got != want {
			t.Errorf("%d entries: %d blocks, expected %d", entries, got, want)
		}
	}
	if DefaultPKey.Key() != 0x7fff || !DefaultPKey.IsFull() || PKey(0x8000).Valid() {
		t.Error("P_Key bits")
	}
	if fmt.Sprint(PKey(0x1)) != "0x0001" {
		t.Error(PKey(1).String())
	}
}
