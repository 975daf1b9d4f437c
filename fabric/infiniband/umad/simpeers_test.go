package umad_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// fields reads "Name:......value" lines of smpquery. Lines without a dot, as the
// names of capability bits, are left out.
func fields(out string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":.")
		if ok {
			values[name] = strings.TrimLeft(value, ".")
		}
	}
	return values
}

func number[T ~uint8 | ~uint16 | ~uint32](v T) string { return strconv.FormatUint(uint64(v), 10) }

func hex(digits int, v uint64) string { return fmt.Sprintf("0x%0*x", digits, v) }

func bit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

func named[T comparable](names map[T]string, v T) string {
	if name, ok := names[v]; ok {
		return name
	}
	return fmt.Sprint(v)
}

var (
	nodeTypes  = map[mad.NodeType]string{mad.ChannelAdapter: "Channel Adapter", mad.Switch: "Switch", mad.Router: "Router"}
	states     = map[mad.PortState]string{mad.PortDown: "Down", mad.PortInit: "Initialize", mad.PortArmed: "Armed", mad.PortActive: "Active"}
	physStates = map[uint8]string{2: "Polling", mad.PhysLinkUp: "LinkUp"}
	widths     = map[uint8]string{1: "1X", 2: "4X", 8: "12X", 31: "1X or 4X or 8X or 12X or 2X"}
	speeds     = map[uint8]string{1: "2.5 Gbps", 7: "2.5 Gbps or 5.0 Gbps or 10.0 Gbps"}
	mtus       = map[uint8]string{1: "256", 2: "512", 3: "1024", 4: "2048", 5: "4096"}
	lanes      = map[uint8]string{1: "VL0", 2: "VL0-1", 3: "VL0-3", 4: "VL0-7", 5: "VL0-14"}
	extended   = map[uint8]string{0: "No Extended Speed"}
)

// asSmpquery says a NodeInfo as smpquery says it.
func nodeFields(n mad.NodeInfo) map[string]string {
	return map[string]string{
		"BaseVers": number(n.BaseVersion), "ClassVers": number(n.ClassVersion), "NodeType": named(nodeTypes, n.Type),
		"NumPorts": number(n.NumPorts), "SystemGuid": hex(16, n.SystemImageGUID), "Guid": hex(16, n.NodeGUID),
		"PortGuid": hex(16, n.PortGUID), "PartCap": number(n.PartitionCap), "DevId": hex(4, uint64(n.DeviceID)),
		"Revision": hex(8, uint64(n.Revision)), "LocalPort": number(n.LocalPort), "VendorId": hex(6, uint64(n.VendorID)),
	}
}

func portFields(p mad.PortInfo) map[string]string {
	return map[string]string{
		"Mkey": hex(16, p.MKey), "GidPrefix": hex(16, p.GIDPrefix), "Lid": number(p.LID), "SMLid": number(p.MasterSMLID),
		"CapMask": hex(0, uint64(p.CapabilityMask)), "DiagCode": hex(4, uint64(p.DiagCode)),
		"MkeyLeasePeriod": number(p.MKeyLeasePeriod), "LocalPort": number(p.LocalPort),
		"LinkWidthEnabled": named(widths, p.LinkWidthEnabled), "LinkWidthSupported": named(widths, p.LinkWidthSupported),
		"LinkWidthActive": named(widths, p.LinkWidthActive), "LinkSpeedSupported": named(speeds, p.LinkSpeedSupported),
		"LinkState": named(states, p.State), "PhysLinkState": named(physStates, p.PhysState),
		"LinkDownDefState": named(physStates, p.LinkDownDefault), "ProtectBits": number(p.MKeyProtect), "LMC": number(p.LMC),
		"LinkSpeedActive": named(speeds, p.LinkSpeedActive), "LinkSpeedEnabled": named(speeds, p.LinkSpeedEnabled),
		"NeighborMTU": named(mtus, p.NeighborMTU), "SMSL": number(p.MasterSMSL), "VLCap": named(lanes, p.VLCap),
		"InitType": hex(2, uint64(p.InitType)), "VLHighLimit": number(p.VLHighLimit), "VLArbHighCap": number(p.VLArbHighCap),
		"VLArbLowCap": number(p.VLArbLowCap), "InitReply": hex(2, uint64(p.InitTypeReply)), "MtuCap": named(mtus, p.MTUCap),
		"VLStallCount": number(p.VLStallCount), "HoqLife": number(p.HOQLife), "OperVLs": named(lanes, p.OperationalVLs),
		"PartEnforceInb": bit(p.EnforceIn), "PartEnforceOutb": bit(p.EnforceOut),
		"FilterRawInb": bit(p.FilterRawIn), "FilterRawOutb": bit(p.FilterRawOut),
		"MkeyViolations": number(p.MKeyViolations), "PkeyViolations": number(p.PKeyViolations), "QkeyViolations": number(p.QKeyViolations),
		"GuidCap": number(p.GUIDCap), "ClientReregister": bit(p.ClientReregister),
		"McastPkeyTrapSuppressionEnabled": number(p.MulticastPKeyTrap), "SubnetTimeout": number(p.SubnetTimeout),
		"RespTimeVal": number(p.RespTime), "LocalPhysErr": number(p.LocalPhyErrors), "OverrunErr": number(p.OverrunErrors),
		"MaxCreditHint": number(p.MaxCreditHint), "RoundTrip": number(p.LinkRoundTrip),
		"CapabilityMask2":    hex(0, uint64(p.CapabilityMask2)),
		"LinkSpeedExtActive": named(extended, p.LinkSpeedExtActive), "LinkSpeedExtSupported": number(p.LinkSpeedExtSupport),
		"LinkSpeedExtEnabled": number(p.LinkSpeedExtEnabled),
	}
}

func same(t *testing.T, where string, ours, theirs map[string]string) {
	t.Helper()
	if len(theirs) != len(ours) {
		t.Errorf("%s: smpquery printed %d fields, expected %d: %v", where, len(theirs), len(ours), theirs)
	}
	for name, value := range ours {
		if theirs[name] != value {
			t.Errorf("%s: %s is %q, smpquery says %q", where, name, value, theirs[name])
		}
	}
}

// keysOf reads the rows "  8: 0x7fff 0x0000 ..." of smpquery pkeys.
func keysOf(t *testing.T, out string) []mad.PKey {
	t.Helper()
	var keys []mad.PKey
	for line := range strings.Lines(out) {
		at, row, ok := strings.Cut(line, ":")
		if _, err := strconv.Atoi(strings.TrimSpace(at)); !ok || err != nil {
			continue
		}
		for _, word := range strings.Fields(row) {
			k, err := strconv.ParseUint(word, 0, 16)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, mad.PKey(k))
		}
	}
	return keys
}

// TestAgreesWithInfinibandDiags reads every port of a simulated fabric that
// OpenSM runs, with this code and with smpquery, sminfo and ibnetdiscover: they
// must say the same. The P_Keys are random ones that were written by this code,
// so a block or port in the wrong place shows.
func TestAgreesWithInfinibandDiags(t *testing.T) {
	tree := ibnet.Tree{Hosts: 6, PerLeaf: 3, Spines: 2, Spare: 1}
	sim := ibnet.Start(t, tree)
	sim.StartOpenSM(t, ibnet.HostName(0), "Default=0x7fff : ALL=limited, ALL_SWITCHES=full, SELF=full ;\nT1=0x1 : ALL=full ;\n")
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(5)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := smp.New(port, smp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	f, err := client.Sweep(ctx, smp.Keys{})
	if err != nil || len(f.Missing) > 0 || len(f.Nodes) != tree.Hosts+tree.Switches() {
		t.Fatalf("%v, %+v", err, f)
	}
	tool := func(args ...string) string {
		t.Helper()
		out, err := sim.Tool(t, ibnet.HostName(5), args[0], args[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	writeRandomKeys(ctx, t, client, f)
	tables, err := client.ReadTables(ctx, f, smp.TableOptions{})
	if err != nil {
		t.Fatal(err)
	}

	for _, n := range f.Nodes {
		route := n.Route.String()
		same(t, "NodeInfo "+route, nodeFields(n.NodeInfo()), fields(tool("smpquery", "nodeinfo", "-D", route)))
		if said := fields(tool("smpquery", "nodedesc", "-D", route))["Node Description"]; said != string(n.Description) {
			t.Errorf("%s calls itself %q, smpquery says %q", route, n.Description, said)
		}
		for _, p := range n.Ports {
			where := fmt.Sprintf("PortInfo %s port %d", route, p.Number)
			same(t, where, portFields(p.PortInfo()), fields(tool("smpquery", "-K", "portinfo", "-D", route, number(p.Number))))
			byLID, _, err := client.PortInfo(ctx, smp.Address{LID: lidOf(n)}, p.Number, 0)
			if err != nil {
				t.Fatal(err)
			}
			byLID.LocalPort = p.PortInfo().LocalPort // another way in
			if byLID != p.PortInfo() {
				t.Errorf("%s: by LID %+v, by route %+v", where, byLID, p.PortInfo())
			}
		}
	}
	for i := range tables.Ports {
		e := &tables.Ports[i]
		if !e.Complete() {
			t.Fatalf("%v", e.Missing)
		}
		compareKeys(t, fmt.Sprintf("switch %x port %d", e.Switch.Node, e.Switch.Port), e.Keys, e.KeyCap,
			tool("smpquery", "pkeys", "-D", e.Route.String(), number(e.Switch.Port)))
		if e.Host != nil {
			compareKeys(t, fmt.Sprintf("host port %x", e.HostGUID), e.Host.Keys, e.HostCap,
				tool("smpquery", "pkeys", "-D", e.HostRoute.String()))
		}
	}
	compareManager(t, f, tool("sminfo"))
	compareCables(t, f, tool("ibnetdiscover"))
}

func lidOf(n *smp.Node) uint16 { return n.Ports[0].PortInfo().LID }

// writeRandomKeys fills the tables of all edge ports, as nobody should.
func writeRandomKeys(ctx context.Context, t *testing.T, client *smp.Client, f *smp.Fabric) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	set := func(to smp.Route, port uint8, limit uint16) {
		for b := range mad.Blocks(limit) {
			var block mad.PKeyBlock
			for i := range block {
				block[i] = mad.PKey(random.Uint32())
			}
			if b == 0 {
				block[0] = mad.DefaultPKey // the tools need to get in
			}
			_, err := client.One(ctx, smp.Request{To: smp.Address{Route: to}, Method: mad.Set, Attribute: mad.AttrPKeyTable,
				Modifier: mad.PKeyModifier(port, uint16(b)), Data: block.Encode()})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range f.Edges() {
		set(e.Route, e.Switch.Port, e.KeyCap)
		if e.Host != nil {
			set(e.HostRoute, 0, e.HostCap)
		}
	}
}

func compareKeys(t *testing.T, where string, blocks []mad.Data, limit uint16, out string) {
	t.Helper()
	theirs := keysOf(t, out)
	if len(theirs) < int(limit) || limit == 0 {
		t.Fatalf("%s: smpquery printed %d P_Keys of %d", where, len(theirs), limit)
	}
	for i, k := range theirs[:limit] {
		if ours := mad.ParsePKeyBlock(&blocks[i/mad.BlockKeys])[i%mad.BlockKeys]; ours != k {
			t.Errorf("%s: P_Key %d is %s, smpquery says %s", where, i, ours, k)
		}
	}
}

func compareManager(t *testing.T, f *smp.Fabric, out string) {
	t.Helper()
	if len(f.Managers) != 1 {
		t.Fatalf("subnet managers: %+v", f.Managers)
	}
	m := f.Managers[0]
	var lid, priority, state int
	var guid uint64
	var count uint32
	if _, err := fmt.Sscanf(out, "sminfo: sm lid %d sm guid 0x%x, activity count %d priority %d state %d", &lid, &guid, &count, &priority, &state); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if int(m.LID) != lid || m.Info.GUID != guid || m.Info.ActCount > count || int(m.Info.Priority) != priority || int(m.Info.State) != state ||
		m.Info.State != mad.SMMaster || m.At.Node != ibnet.HostGUID(0) {
		t.Errorf("manager %+v, sminfo says %s", m, out)
	}
}

// compareCables counts the cables that ibnetdiscover lists and checks each.
func compareCables(t *testing.T, f *smp.Fabric, out string) {
	t.Helper()
	var guid uint64
	ends := 0
	for line := range strings.Lines(out) {
		var kind string
		var ports int
		if fmt.Sscanf(line, "switchguid=0x%x", &guid); strings.HasPrefix(line, "caguid=") {
			fmt.Sscanf(line, "caguid=0x%x", &guid)
		} else if !strings.HasPrefix(line, "[") {
			fmt.Sscanf(line, "%s %d", &kind, &ports)
			continue
		}
		var local, remote int
		var peer uint64
		at, rest, _ := strings.Cut(line, "]")
		_, name, ok := strings.Cut(rest, "\"")
		if !ok || len(name) < 2 {
			continue
		}
		if n, _ := fmt.Sscanf(at, "[%d", &local); n != 1 {
			continue
		}
		if n, err := fmt.Sscanf(name[2:], "%x\"[%d]", &peer, &remote); n != 2 {
			t.Fatalf("%q: %v", line, err)
		}
		ends++
		if got := f.Node(guid).Port(uint8(local)).Neighbour; got != (smp.End{Node: peer, Port: uint8(remote)}) {
			t.Errorf("%x port %d leads to %x, ibnetdiscover says %s", guid, local, got, line)
		}
	}
	ours := 0
	for _, n := range f.Nodes {
		for _, p := range n.Ports {
			if p.Neighbour != (smp.End{}) {
				ours++
			}
		}
	}
	if ends != ours || ends == 0 {
		t.Errorf("ibnetdiscover lists %d ends of cables, the sweep %d", ends, ours)
	}
}

// TestAsksSubnetAdministration sends one SA request to OpenSM: the packet must be
// laid out as OpenSM thinks it is.
func TestAsksSubnetAdministration(t *testing.T) {
	sim := ibnet.Start(t, ibnet.Tree{Hosts: 2, PerLeaf: 2, Spines: 1})
	sim.StartOpenSM(t, ibnet.HostName(0), "")
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(1)})
	if err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(time.Minute, func() { port.Close() })
	defer func() {
		if stop.Stop() {
			port.Close()
		}
	}()
	local, err := mad.NewByRoute(mad.Get, mad.AttrPortInfo, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	packet := local.Encode()
	answer := exchange(t, port, mad.PermissiveLID, packet)
	s, err := mad.ParseSMP(&answer)
	if err != nil {
		t.Fatal(err)
	}
	info := mad.ParsePortInfo(&s.Data)

	ask := mad.SA{Method: mad.Get, TID: 77, Attribute: mad.AttrNodeRecord, Components: 1} // by LID
	ask.Data[0], ask.Data[1] = byte(info.LID>>8), byte(info.LID)
	answer = exchange(t, port, info.MasterSMLID, ask.Encode())
	record, err := mad.ParseSA(&answer)
	if err != nil || record.Status != mad.StatusOK || uint32(record.TID) != 77 || record.Method != mad.GetResp {
		t.Fatalf("%v, %+v", err, record)
	}
	node := mad.Data(record.Data[4 : 4+64])
	if got := mad.ParseNodeInfo(&node); got.NodeGUID != ibnet.HostGUID(1) || got.PortGUID != ibnet.HostPortGUID(1) {
		t.Errorf("OpenSM's record of LID %d: %+v", info.LID, got)
	}

	ask.Components = 0xffff // fields that nothing fits
	answer = exchange(t, port, info.MasterSMLID, ask.Encode())
	if record, err = mad.ParseSA(&answer); err != nil || record.Status.Class() != 0x0300 { // no records (15.2)
		t.Errorf("%v, status %s", err, record.Status)
	}
}

func exchange(t *testing.T, port *umad.SimPort, lid uint16, packet mad.Packet) mad.Packet {
	t.Helper()
	if err := port.Send(lid, &packet); err != nil {
		t.Fatal(err)
	}
	for {
		var answer mad.Packet
		lost, err := port.Recv(&answer)
		if err != nil || lost {
			t.Fatalf("lost %v: %v", lost, err)
		}
		if answer.Header().Method.IsResponse() {
			return answer
		}
	}
}
