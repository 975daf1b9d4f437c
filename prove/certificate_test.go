package prove

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/site"
)

var paths = map[string]Path{"frontend": {fabric.FencedByDevice, "kernel+lldp"}, "compute": {fabric.FencedByDeadline, "smp"}}

func certify(w *world, nodes ...site.Index) Certificate {
	c, _ := w.p.Certify(Request{Lease: "a-t1", Tenant: "a", Epoch: 3, Nodes: site.SetOf(nodes...), Issued: epoch.Add(time.Minute), Window: 15 * time.Minute, Paths: paths})
	return c
}

func TestCertificate(t *testing.T) {
	for _, family := range families {
		for _, a := range append(attacks(family), attack{name: "none", port: railPort(0), do: func(*world) {}}) {
			w, _ := a.carry(family, everyCheck)
			c := certify(w, 0, 1)
			if err := c.Check(); err != nil {
				t.Errorf("%s, %s: %v", family, a.name, err)
				continue
			}
			if own := a.port.Node() <= 1; own && c.Verdict != Worse(a.check.Verdict(), Proven).String() && c.Verdict != Red.String() {
				t.Errorf("%s, %s: the verdict is %s", family, a.name, c.Verdict)
			}
			data, err := c.Encode()
			if err != nil {
				t.Fatal(err)
			}
			back, err := DecodeCertificate(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*back, c) {
				t.Errorf("%s, %s: wrote %+v\nread %+v", family, a.name, c, *back)
			}
		}
	}
}

func TestCertificateSaysWhatIsNotProven(t *testing.T) {
	w := newWorld(site.InfiniBand)
	w.prover()
	w.p.MarkUnknown(w.s.LeafOf(railPort(5)))
	c := certify(w, 0, 1)
	if c.Verdict != Proven.String() || c.Ports != 18 {
		t.Fatalf("%s at %d ports", c.Verdict, c.Ports)
	}
	text := strings.Join(c.NotProven, "\n")
	for _, want := range []string{"simulated", "compute: 4 of 64 edge ports have no fresh read-back"} {
		if !strings.Contains(text, want) {
			t.Errorf("not proven says\n%s\nand not %q", text, want)
		}
	}
	text = strings.Join(c.Assumptions, "\n")
	for _, want := range []string{"A1:", "A6:", "NIC firmware", "frontend: an older writer is refused by the device", "compute: an older writer's calls end"} {
		if !strings.Contains(text, want) {
			t.Errorf("assumptions say\n%s\nand not %q", text, want)
		}
	}
	if got := c.Fabrics[1].Labels; len(got) != 1 || got[0].Occurrences != 16 || got[0].Elsewhere != 0 {
		t.Errorf("labels %+v", got)
	}
}

// TestCertificateEvidence: any change of an own port's reading changes the
// evidence, a change elsewhere does not.
func TestCertificateEvidence(t *testing.T) {
	digests := func(do func(w *world)) [2]claim.Digest {
		w := newWorld(site.RoCE)
		do(w)
		w.prover()
		c := certify(w, 0, 1)
		return [2]claim.Digest{c.Fabrics[0].Evidence, c.Fabrics[1].Evidence}
	}
	plain := digests(func(*world) {})
	if got := digests(func(w *world) { w.ports[railPort(4)].row = fabric.Closed() }); got != plain {
		t.Error("a change elsewhere changes the evidence")
	}
	for name, do := range map[string]func(w *world){
		"label":       func(w *world) { w.ports[railPort(1)].row = fabric.Compile(site.RoCE, 77777) },
		"membership":  func(w *world) { w.ports[railPort(1)].row.Leaf[0] &^= fabric.FullBit },
		"enforcement": func(w *world) { w.ports[railPort(1)].row.EnforceOut = false },
		"neighbour":   func(w *world) { w.ports[railPort(1)].device = 1 },
		"table":       func(w *world) { w.ports[railPort(1)].full = true },
	} {
		if got := digests(do); got[1] == plain[1] || got[0] != plain[0] {
			t.Errorf("%s: the evidence of the compute fabric does not change, or that of the frontend does", name)
		}
	}
}

// TestCertificateNamesNobodyElse: whatever other tenants do, the certificate
// holds the same bytes, but for counts.
func TestCertificateNamesNobodyElse(t *testing.T) {
	encode := func(do func(w *world)) []byte {
		w := newWorld(site.RoCE)
		do(w)
		w.prover()
		c := certify(w, 0, 1)
		data, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	plain := encode(func(*world) {})
	for name, do := range map[string]func(w *world){
		"another tenant's nodes": func(w *world) {
			for i := range w.ports {
				if w.holder[i] == tenantB {
					w.holder[i] = tenantC
					f := w.fabricOf(i)
					w.ports[i].row = fabric.Compile(w.s.Fabrics[f].Family, w.label(f, tenantC))
				}
			}
		},
		"another tenant's drift": func(w *world) { w.ports[railPort(2)].row = w.ports[railPort(4)].row },
		"another tenant's cable": func(w *world) { w.ports[railPort(2)].device = 99 },
	} {
		if got := encode(do); !bytes.Equal(got, plain) {
			t.Errorf("%s shows in a's certificate:\n%s\n%s", name, got, plain)
		}
	}
	// Where it harms a, only the count shows.
	got := encode(func(w *world) { addLabel(&w.ports[railPort(2)].row, fabric.Full(w.label(1, tenantA))) })
	for _, word := range []string{"5003", "\"b\"", "su00-n02"} {
		if bytes.Contains(got, []byte(word)) {
			t.Errorf("the certificate holds %q:\n%s", word, got)
		}
	}
}

// TestCheckRefuses forges certificates: each lie must be found.
func TestCheckRefuses(t *testing.T) {
	proven := func() Certificate {
		w := newWorld(site.InfiniBand)
		w.prover()
		return certify(w, 0, 1)
	}
	red := func() Certificate {
		w := newWorld(site.InfiniBand)
		w.ports[railPort(0)].row.EnforceIn = false
		w.prover()
		return certify(w, 0, 1)
	}
	for name, forge := range map[string]func() Certificate{
		"version":     func() Certificate { c := proven(); c.Version--; return c },
		"verdict":     func() Certificate { c := red(); c.Verdict = "proven"; c.NotProven = notProven(&c); return c },
		"no verdict":  func() Certificate { c := proven(); c.Verdict = "fine"; return c },
		"no lease":    func() Certificate { c := proven(); c.Lease = ""; return c },
		"no tenant":   func() Certificate { c := proven(); c.Tenant = ""; return c },
		"origin":      func() Certificate { c := proven(); c.Origin = "magic"; return c },
		"hardware":    func() Certificate { c := proven(); c.Origin = claim.Hardware; return c },
		"zone":        func() Certificate { c := proven(); c.Issued = c.Issued.In(time.FixedZone("x", 3600)); return c },
		"window":      func() Certificate { c := proven(); c.WindowSeconds = 0; return c },
		"long window": func() Certificate { c := proven(); c.WindowSeconds = 30 * 24 * 3600; return c },
		"stale":       func() Certificate { c := proven(); c.Fabrics[0].Oldest = c.Fabrics[0].Oldest.Add(-time.Hour); return c },
		"future":      func() Certificate { c := proven(); c.Fabrics[0].Newest = c.Issued.Add(time.Second); return c },
		"more nodes":  func() Certificate { c := proven(); c.Nodes = "0-2"; return c },
		"node syntax": func() Certificate { c := proven(); c.Nodes = "0,1"; return c },
		"ports":       func() Certificate { c := proven(); c.Ports++; return c },
		"red to proven": func() Certificate {
			c := red()
			c.Fabrics[1].Red--
			c.Fabrics[1].Proven++
			return c
		},
		"red hidden": func() Certificate {
			c := red()
			c.Fabrics[1].Red--
			c.Fabrics[1].Proven++
			c.Verdict = "proven"
			c.NotProven = notProven(&c)
			return c
		},
		"failure left out":   func() Certificate { c := red(); c.Failed = nil; return c },
		"failure without id": func() Certificate { c := red(); c.Failed[0].Check = "x"; return c },
		"check left out":     func() Certificate { c := proven(); c.Checks = c.Checks[1:]; return c },
		"assumption left out": func() Certificate {
			c := proven()
			c.Assumptions = c.Assumptions[:len(c.Assumptions)-1]
			return c
		},
		"not proven left out":  func() Certificate { c := proven(); c.NotProven = c.NotProven[1:]; return c },
		"fabric left out":      func() Certificate { c := proven(); c.Fabrics = c.Fabrics[1:]; return c },
		"fabric twice":         func() Certificate { c := proven(); c.Fabrics[0].Fabric = "compute"; return c },
		"family":               func() Certificate { c := proven(); c.Fabrics[0].Family = "x"; return c },
		"no evidence":          func() Certificate { c := proven(); c.Fabrics[0].Evidence = claim.Digest{}; return c },
		"no label":             func() Certificate { c := proven(); c.Fabrics[0].Labels = nil; return c },
		"label not seen":       func() Certificate { c := proven(); c.Fabrics[0].Labels[0].Occurrences = 0; return c },
		"label elsewhere":      func() Certificate { c := proven(); c.Fabrics[0].Labels[0].Elsewhere = 1; return c },
		"label of a fabric":    func() Certificate { c := proven(); c.Fabrics[0].Labels[0].Label.Fabric = "x"; return c },
		"negative":             func() Certificate { c := proven(); c.Fabrics[0].Red = -1; c.Fabrics[0].Proven++; return c },
		"counted too few":      func() Certificate { c := proven(); c.Fabrics[0].Counted = 1; return c },
		"never read":           func() Certificate { c := proven(); c.Fabrics[0].EverRead = 0; return c },
		"unread not said":      func() Certificate { c := proven(); c.Fabrics[0].Unread = 4; return c },
		"fencing not as given": func() Certificate { c := proven(); c.Fabrics[0].Fencing = ""; return c },
		"fabric twice, with its labels": func() Certificate {
			c := proven()
			c.Fabrics[0].Fabric, c.Fabrics[0].Family, c.Fabrics[0].Labels = "compute", c.Fabrics[1].Family, c.Fabrics[1].Labels
			c.Assumptions = assumptions(&c)
			return c
		},
		"negative that adds up": func() Certificate {
			c := proven()
			c.Fabrics[0].Red, c.Fabrics[0].Cut, c.Verdict = -1, 1, Cut.String()
			c.NotProven = notProven(&c)
			return c
		},
		"fabric left out, and its assumptions": func() Certificate {
			c := proven()
			c.Fabrics = c.Fabrics[1:]
			c.Assumptions, c.NotProven = assumptions(&c), notProven(&c)
			return c
		},
		"label elsewhere that adds up": func() Certificate {
			c := proven()
			c.Fabrics[0].Labels[0].Elsewhere++
			c.Fabrics[0].Labels[0].Occurrences++
			return c
		},
		"the frontend alone": func() Certificate {
			c := proven()
			for i := range c.Fabrics {
				if c.Fabrics[i].Role == site.RoleFrontend {
					c.Fabrics = c.Fabrics[i : i+1]
					break
				}
			}
			c.Ports = c.Fabrics[0].ports()
			c.Assumptions, c.NotProven = assumptions(&c), notProven(&c)
			return c
		},
		"the frontend twice": func() Certificate {
			c := proven()
			for i := range c.Fabrics {
				c.Fabrics[i].Role = site.RoleFrontend
			}
			c.NotProven = notProven(&c)
			return c
		},
		"fewer ports a node": func() Certificate {
			c := proven()
			for i := range c.Fabrics {
				f := &c.Fabrics[i]
				c.Ports -= f.Proven - f.Proven/f.Each
				f.Proven, f.Each = f.Proven/f.Each, 1
			}
			c.Fabrics[0].Each++
			return c
		},
		"another role": func() Certificate { c := proven(); c.Fabrics[0].Role = "backend"; return c },
		"domains that are nobody's": func() Certificate {
			c := proven()
			c.NVLink = &NVLinkPart{Domains: 1, Alone: 2}
			c.NotProven = notProven(&c)
			return c
		},
		"a domain that is shared": func() Certificate {
			c := proven()
			c.NVLink = &NVLinkPart{Domains: 2, Alone: 1}
			c.NotProven = notProven(&c)
			return c
		},
		"empty": func() Certificate {
			c := proven()
			c.Nodes, c.Ports, c.Fabrics = "", 0, []FabricPart{}
			c.Assumptions, c.NotProven = assumptions(&c), notProven(&c)
			return c
		},
	} {
		c := forge()
		if err := c.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := proven()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestDecodeCertificateIsStrict(t *testing.T) {
	w := newWorld(site.RoCE)
	w.prover()
	c := certify(w, 0, 1)
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		for _, flip := range []byte{1, 0x20, 0x80} {
			b := bytes.Clone(data)
			b[i] ^= flip
			if got, err := DecodeCertificate(b); err == nil {
				if again, _ := got.Encode(); !bytes.Equal(again, b) || bytes.Equal(again, data) {
					t.Fatalf("byte %d changed by %#x was overlooked", i, flip)
				}
			}
		}
		if _, err := DecodeCertificate(data[:i]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", i, len(data))
		}
	}
	for _, b := range [][]byte{append(bytes.Clone(data), '\n'), bytes.Replace(data, []byte(`"epoch":3`), []byte(`"epoch":3,"epoch":3`), 1),
		bytes.Replace(data, []byte(`"epoch":3`), []byte(`"epoch":3,"x":1`), 1)} {
		if _, err := DecodeCertificate(b); err == nil {
			t.Errorf("accepted %s", b)
		}
	}
}

// FuzzDecodeCertificate: what decodes, encodes to the same bytes, and Check ends.
func FuzzDecodeCertificate(f *testing.F) {
	w := newWorld(site.InfiniBand)
	w.prover()
	c := certify(w, 0, 1)
	data, err := c.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeCertificate(data)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s became %s, %v", data, again, err)
		}
		_ = c.Check()
	})
}
