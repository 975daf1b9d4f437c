package umad

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// layout prints what the kernel's header says, in the order of ourLayout.
const layout = `
#include <stdio.h>
#include <stddef.h>
#include <rdma/ib_user_mad.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rdma_user_ioctl.h>
#define at(s, f) (unsigned long)offsetof(struct s, f)
int main(void) {
	unsigned long all[] = { sizeof(struct ib_user_mad_hdr), at(ib_user_mad_hdr, id), at(ib_user_mad_hdr, status),
		at(ib_user_mad_hdr, timeout_ms), at(ib_user_mad_hdr, retries), at(ib_user_mad_hdr, length),
		at(ib_user_mad_hdr, qpn), at(ib_user_mad_hdr, qkey), at(ib_user_mad_hdr, lid), at(ib_user_mad, data),
		sizeof(struct ib_user_mad_reg_req), at(ib_user_mad_reg_req, id), at(ib_user_mad_reg_req, method_mask),
		at(ib_user_mad_reg_req, qpn), at(ib_user_mad_reg_req, mgmt_class), at(ib_user_mad_reg_req, mgmt_class_version),
		at(ib_user_mad_reg_req, oui), at(ib_user_mad_reg_req, rmpp_version),
		IB_USER_MAD_REGISTER_AGENT, IB_USER_MAD_UNREGISTER_AGENT, IB_USER_MAD_ENABLE_PKEY, IB_USER_MAD_ABI_VERSION };
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) printf("%lu ", all[i]);
	return 0;
}`

// What the kernel has besides, and nothing here writes: it shows that nothing lies between.
const (
	atRetries       = 12
	atOUI           = 23
	atRMPPVersion   = 26
	unregisterAgent = 1<<30 | 4<<16 | ioctlMagic<<8 | 2
	abiVersion      = 5 // of the interface that this package knows
)

var ourLayout = []uint64{headerSize, atAgent, atStatus, atTimeout, atRetries, atLength, atQP, atQKey, atLID, headerSize,
	registerSize, atRegisterID, atMethodMask, atRegisterQP, atRegisterClass, atRegisterVersion, atOUI, atRMPPVersion,
	registerAgent, unregisterAgent, enablePKey, abiVersion}

func TestLayoutIsTheKernels(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc: apt-get install gcc linux-libc-dev")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(source, []byte(layout), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(gcc, "-o", program, source).CombinedOutput(); err != nil {
		if bytes.Contains(said, []byte("No such file")) {
			t.Skip("needs rdma/ib_user_mad.h: apt-get install linux-libc-dev")
		}
		t.Fatalf("%v: %s", err, said)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.Fields(string(out))
	if len(theirs) != len(ourLayout) {
		t.Fatalf("%q", out)
	}
	for i, want := range theirs {
		if got := strconv.FormatUint(ourLayout[i], 10); got != want {
			t.Errorf("number %d is %s, the kernel's header says %s", i, got, want)
		}
	}
}

// device stands in for /dev/infiniband/umadN.
type device struct {
	wrote []byte
	reads [][]byte
}

func (d *device) Write(b []byte) (int, error) { d.wrote = bytes.Clone(b); return len(b), nil }
func (d *device) Close() error                { return nil }
func (d *device) Read(b []byte) (int, error) {
	if len(d.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(b, d.reads[0])
	d.reads = d.reads[1:]
	return n, nil
}

func TestSendAndReceive(t *testing.T) {
	d := &device{}
	p := &Port{file: d, agents: map[mad.Class]uint32{mad.ClassSubnLID: 3, mad.ClassSubnDirected: 4}, timeoutMs: 700}
	s, _ := mad.NewByRoute(mad.Get, mad.AttrNodeInfo, 0, []byte{1})
	s.TID = 99
	packet := s.Encode()
	if err := p.Send(mad.PermissiveLID, &packet); err != nil {
		t.Fatal(err)
	}
	if len(d.wrote) != 320 || binary.NativeEndian.Uint32(d.wrote) != 4 || binary.NativeEndian.Uint32(d.wrote[8:]) != 700 ||
		d.wrote[28] != 0xff || d.wrote[29] != 0xff || !bytes.Equal(d.wrote[64:], packet[:]) {
		t.Errorf("wrote % x", d.wrote)
	}
	packet[1] = byte(mad.ClassSubnAdm)
	if err := p.Send(1, &packet); !errors.Is(err, errClass) {
		t.Errorf("subnet administration on QP0: %v", err)
	}
	p.agents[mad.ClassSubnAdm] = 5
	wrote := bytes.Clone(d.wrote)
	if err := p.Send(7, &packet); err != nil || binary.BigEndian.Uint32(d.wrote[atQP:]) != 1 || binary.BigEndian.Uint32(d.wrote[atQKey:]) != 0x80010000 ||
		binary.NativeEndian.Uint32(d.wrote) != 5 || d.wrote[29] != 7 {
		t.Errorf("a general packet: % x, %v", d.wrote[:headerSize], err)
	}
	packet[3] = byte(mad.ReportResp)
	if err := p.Send(7, &packet); err != nil || binary.NativeEndian.Uint32(d.wrote[atTimeout:]) != 0 {
		t.Errorf("the kernel waits for an answer to an answer: % x, %v", d.wrote[:headerSize], err)
	}
	d.wrote = wrote

	answer := bytes.Clone(d.wrote)
	late := bytes.Clone(d.wrote[:headerSize+mgmtHeaderSize])
	binary.NativeEndian.PutUint32(late[atStatus:], 110)
	short := bytes.Clone(d.wrote[:headerSize+mgmtHeaderSize])
	d.reads = [][]byte{answer, late, short, answer[:10]}
	var m mad.Packet
	if lost, err := p.Recv(&m); lost || err != nil || m.TID() != 99 {
		t.Errorf("lost %v, %v", lost, err)
	}
	if lost, err := p.Recv(&m); !lost || err != nil || m.TID() != 99 {
		t.Errorf("of a request that was given up: lost %v, %v", lost, err)
	}
	for range 3 { // too short, far too short, the end
		if _, err := p.Recv(&m); err == nil {
			t.Error("was read")
		}
	}
}

// TestHear checks the mask of methods: bit 6 of the first word for reports, and the
// bit of the second word for a method from 64 on.
func TestHear(t *testing.T) {
	r := registration(mad.ClassSubnAdm)
	hear(&r, mad.Report, 0x45)
	mask := r[atMethodMask : atMethodMask+16]
	if binary.NativeEndian.Uint64(mask) != 1<<6 || binary.NativeEndian.Uint64(mask[8:]) != 1<<5 {
		t.Errorf("% x", mask)
	}
	if rest := registration(mad.ClassSubnAdm); !bytes.Equal(r[:atMethodMask], rest[:atMethodMask]) || !bytes.Equal(r[atMethodMask+16:], rest[atMethodMask+16:]) {
		t.Errorf("more than the mask was written: % x", r)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(make([]byte, headerSize+mad.Size))
	f.Add(make([]byte, headerSize+mgmtHeaderSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p mad.Packet
		lost, err := parseMessage(b, &p)
		if err == nil && !lost && !bytes.Equal(p[:], b[headerSize:]) {
			t.Fatal("the packet is not what came")
		}
		if lost && binary.NativeEndian.Uint32(b[atStatus:]) == 0 {
			t.Fatal("lost without a status")
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "umad0"), time.Second); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open("/dev/null", 0); err == nil {
		t.Error("a wait of nothing")
	}
	if _, err := Open("/dev/null", time.Second); err == nil {
		t.Error("/dev/null took an agent")
	}
}
