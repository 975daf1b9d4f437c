package umad

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/ibnet"
)

// oneDevice is a simulator of a fabric of one node, that gives the same data to
// every Get: so that other programs decode what this test made up.
type oneDevice struct {
	name          string
	control, data *net.UnixConn
	answer        map[mad.Attribute]mad.Data
}

func startOneDevice(t *testing.T, answer map[mad.Attribute]mad.Data) *oneDevice {
	t.Helper()
	d := &oneDevice{name: fmt.Sprintf("one-%d-%x", os.Getpid(), rand.Uint64()), answer: answer}
	var err error
	if d.control, err = net.ListenUnixgram("unixgram", address("%s:ctl", d.name)); err != nil {
		t.Fatal(err)
	}
	if d.data, err = net.ListenUnixgram("unixgram", address("%s:out0", d.name)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 2)
	go func() { d.serveControl(); ended <- struct{}{} }()
	go func() { d.serveData(); ended <- struct{}{} }()
	t.Cleanup(func() {
		d.control.Close()
		d.data.Close()
		<-ended
		<-ended
	})
	return d
}

// serveControl answers what umad2sim asks when a program starts.
func (d *oneDevice) serveControl() {
	for {
		var b [controlSize + 1]byte
		n, from, err := d.control.ReadFromUnix(b[:])
		if err != nil {
			return
		}
		c, err := parseControl(b[:n])
		if err != nil {
			continue
		}
		if c.kind == controlConnect {
			id := binary.NativeEndian.Uint32(c.data[0:])
			raw, err := d.data.SyscallConn()
			if err != nil {
				return
			}
			_ = raw.Control(func(fd uintptr) {
				_ = syscall.Connect(int(fd), &syscall.SockaddrUnix{Name: address("%s:in%d", d.name, id).Name})
			})
			binary.NativeEndian.PutUint32(c.data[0:], 0)
		}
		// umad2sim looks for a local host with a link that is up.
		switch c.kind {
		case 7: // NodeInfo
			info := mad.NodeInfo{BaseVersion: 1, ClassVersion: 1, Type: mad.ChannelAdapter, NumPorts: 1, SystemImageGUID: 1, NodeGUID: 1, PortGUID: 2, PartitionCap: 32, LocalPort: 1}
			c.data = info.Encode()
		case 8: // PortInfo
			info := mad.PortInfo{LID: 1, MasterSMLID: 1, State: mad.PortActive, PhysState: mad.PhysLinkUp, LocalPort: 1, LinkWidthActive: 2, LinkSpeedActive: 1}
			c.data = info.Encode()
		}
		out := c.encode()
		from.Name += "\x00" // part of the name, but package syscall cuts it off
		_, _ = d.control.WriteToUnix(out[:], from)
	}
}

func (d *oneDevice) serveData() {
	for {
		var b [dataSize + 1]byte
		n, err := d.data.Read(b[:])
		if err != nil {
			return
		}
		var p mad.Packet
		if _, err := parseData(b[:n], &p); err != nil {
			continue
		}
		s, err := mad.ParseSMP(&p)
		if err != nil {
			continue
		}
		a := s.Answer(mad.StatusOK, d.answer[s.Attribute])
		out := a.Encode()
		copy(b[atMAD:], out[:])
		_, _ = d.data.Write(b[:dataSize])
	}
}

// TestSmpqueryDecodesTheSame gives random attributes to smpquery: each number
// that it prints must be the one that this code decodes from the same bytes.
// ibsim keeps neither enforcement nor M_Keys, so it cannot show this.
func TestSmpqueryDecodesTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 20 {
		var port, sw mad.Data
		for i := range port {
			port[i], sw[i] = byte(random.Uint32()), byte(random.Uint32())
		}
		node := mad.NodeInfo{BaseVersion: 1, ClassVersion: 1, Type: mad.Switch, NumPorts: 36, SystemImageGUID: random.Uint64(), NodeGUID: random.Uint64(),
			PortGUID: random.Uint64(), PartitionCap: uint16(random.Uint32()), DeviceID: uint16(random.Uint32()), Revision: random.Uint32(),
			LocalPort: 1, VendorID: random.Uint32() >> 8}
		one := startOneDevice(t, map[mad.Attribute]mad.Data{mad.AttrNodeInfo: node.Encode(), mad.AttrPortInfo: port, mad.AttrSwitchInfo: sw})
		sim := &ibnet.Sim{Name: one.name, Dir: t.TempDir()}
		query := func(args ...string) map[string]string {
			t.Helper()
			out, err := sim.Tool(t, "", "smpquery", append([]string{"-K"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			values := map[string]string{}
			for line := range strings.Lines(out) {
				if name, value, ok := strings.Cut(strings.TrimSpace(line), ":."); ok {
					values[name] = strings.TrimLeft(value, ".")
				}
			}
			return values
		}
		p, s := mad.ParsePortInfo(&port), mad.ParseSwitchInfo(&sw)
		check(t, round, query("portinfo", "-D", "0", "1"), map[string]any{
			"Mkey": hex(16, p.MKey), "GidPrefix": hex(16, p.GIDPrefix), "Lid": p.LID, "SMLid": p.MasterSMLID,
			"CapMask": hex(0, p.CapabilityMask), "DiagCode": hex(4, p.DiagCode), "MkeyLeasePeriod": p.MKeyLeasePeriod, "LocalPort": p.LocalPort,
			"ProtectBits": p.MKeyProtect, "LMC": p.LMC, "SMSL": p.MasterSMSL, "InitType": hex(2, p.InitType), "VLHighLimit": p.VLHighLimit,
			"VLArbHighCap": p.VLArbHighCap, "VLArbLowCap": p.VLArbLowCap, "InitReply": hex(2, p.InitTypeReply),
			"VLStallCount": p.VLStallCount, "HoqLife": p.HOQLife, "PartEnforceInb": asBit(p.EnforceIn), "PartEnforceOutb": asBit(p.EnforceOut),
			"FilterRawInb": asBit(p.FilterRawIn), "FilterRawOutb": asBit(p.FilterRawOut), "MkeyViolations": p.MKeyViolations,
			"PkeyViolations": p.PKeyViolations, "QkeyViolations": p.QKeyViolations, "GuidCap": p.GUIDCap,
			"ClientReregister": asBit(p.ClientReregister), "McastPkeyTrapSuppressionEnabled": p.MulticastPKeyTrap,
			"SubnetTimeout": p.SubnetTimeout, "RespTimeVal": p.RespTime, "LocalPhysErr": p.LocalPhyErrors, "OverrunErr": p.OverrunErrors,
			"MaxCreditHint": p.MaxCreditHint, "RoundTrip": p.LinkRoundTrip,
		})
		check(t, round, query("switchinfo", "-D", "0"), map[string]any{
			"LinearFdbCap": s.LinearFDBCap, "RandomFdbCap": s.RandomFDBCap, "McastFdbCap": s.MulticastFDBCap, "LinearFdbTop": s.LinearFDBTop,
			"DefPort": s.DefaultPort, "DefMcastPrimPort": s.DefaultMulticastPrimaryPort, "DefMcastNotPrimPort": s.DefaultMulticastNotPrimaryPort,
			"LifeTime": s.LifeTimeValue, "StateChange": asBit(s.PortStateChange), "OptSLtoVLMapping": s.OptimizedSLtoVLMapping,
			"LidsPerPort": s.LIDsPerPort, "PartEnforceCap": s.PartitionEnforcementCap, "InboundPartEnf": asBit(s.InboundEnforcementCap),
			"OutboundPartEnf": asBit(s.OutboundEnforcementCap), "FilterRawInbound": asBit(s.FilterRawInboundCap),
			"FilterRawOutbound": asBit(s.FilterRawOutboundCap), "EnhancedPort0": asBit(s.EnhancedPort0), "MulticastFDBTop": hex(4, s.MulticastFDBTop),
		})
		check(t, round, query("nodeinfo", "-D", "0"), map[string]any{
			"SystemGuid": hex(16, node.SystemImageGUID), "Guid": hex(16, node.NodeGUID), "PortGuid": hex(16, node.PortGUID),
			"PartCap": node.PartitionCap, "DevId": hex(4, node.DeviceID), "Revision": hex(8, node.Revision),
			"VendorId": hex(6, node.VendorID), "NumPorts": node.NumPorts, "LocalPort": node.LocalPort,
		})
	}
}

func hex(digits int, v any) string { return fmt.Sprintf("0x%0*x", digits, v) }

func asBit(on bool) int {
	if on {
		return 1
	}
	return 0
}

func check(t *testing.T, round int, theirs map[string]string, ours map[string]any) {
	t.Helper()
	for name, value := range ours {
		if want := fmt.Sprint(value); theirs[name] != want {
			t.Errorf("round %d: %s is %s, smpquery says %q", round, name, want, theirs[name])
		}
	}
}

func FuzzWire(f *testing.F) {
	c := control{client: 3, kind: controlConnect}
	b := c.encode()
	f.Add(b[:])
	f.Add(make([]byte, dataSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseControl(b); err == nil {
			e := c.encode()
			if again, err := parseControl(e[:]); err != nil || again != c {
				t.Fatalf("%+v, again %+v, %v", c, again, err)
			}
		}
		var p mad.Packet
		if _, err := parseData(b, &p); (err == nil) != (len(b) == dataSize) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
	})
}
