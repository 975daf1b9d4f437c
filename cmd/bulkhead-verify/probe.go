package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/prove"
)

type probeCommand struct {
	Site   string `required:"" placeholder:"ID" help:"Name of the site."`
	Tenant string `required:"" placeholder:"ID" help:"Who leases the node."`
	Lease  string `required:"" placeholder:"ID" help:"The lease, as first/t1."`
	Node   string `required:"" placeholder:"ID" help:"The node that this runs on, by the owner's id."`

	Umad     string `placeholder:"DEVICE" help:"An adapter of this node, such as /dev/infiniband/umad0; needs root."`
	Emulated string `placeholder:"SOCKET/HOST" help:"Instead: a host of an emulated fabric. The probe then says emulated."`

	Own      string        `required:"" placeholder:"0xKEY" help:"The lease's P_Key, full: 0x8001."`
	Peer     []uint16      `required:"" placeholder:"LID" help:"Hosts of the same lease: what must be reached."`
	Other    []uint16      `placeholder:"LID" help:"Hosts of others, and services: what must not."`
	Manager  uint16        `placeholder:"LID" help:"Where subnet administration answers. Default: looked for."`
	Foreign  []string      `placeholder:"0xKEY" help:"P_Keys to try that are not the lease's. Default: the ones beside it, and two more."`
	Patience time.Duration `default:"1s" help:"How long an answer may take, 10ms to 1m. Silence for so long counts as denied; what must answer has 5s at least."`

	Key string `required:"" placeholder:"FILE" help:"Your signing key: Ed25519, PKCS #8, PEM. The owner never sees it."`
	Out string `required:"" placeholder:"FILE" help:"Where the signed probe goes, to be filed: FileProbe of the owner's API."`
}

// Help is what it does.
func (probeCommand) Help() string {
	return `Tries, from a node that you have leased, what must fail, and beside it what must
succeed: packets under foreign P_Keys and to others, the tables of the fabric and
of this node without its M_Key, what subnet administration says of others, and to
take mastership from the subnet's manager. Signed with your own key it is evidence
that does not rest on the owner's word: of one node, at one time, by these ways.

The owner sees it happen: refused packets are counted and told to the manager. On
real adapters packets go under the first P_Key of their own table only, since an
adapter's firmware lets a program choose no other: what a hostile one could send
is not shown.

Exit code 1: something was reached that must not be, or nothing is shown.`
}

// prober sends one packet at a time and waits for its answer.
type prober struct {
	way      smp.Transport
	under    func(lid uint16, key mad.PKey, p *mad.Packet) error // nil: no key can be chosen
	patience time.Duration
	tid      uint64
	in       chan mad.Packet
	probe    *prove.Probe
}

// Run probes.
func (c *probeCommand) Run(stdout io.Writer, stderr errorWriter) error {
	own, foreign, err := c.keys()
	if err != nil {
		fmt.Fprintln(stderr, "bulkhead-verify:", err)
		return usage
	}
	if (c.Umad == "") == (c.Emulated == "") || c.Patience < 10*time.Millisecond || c.Patience > time.Minute {
		fmt.Fprintln(stderr, "bulkhead-verify: expected either --umad or --emulated, and --patience from 10ms to 1m")
		return usage
	}
	signer, err := readSigner(c.Key)
	if err != nil {
		return err
	}
	p := &prober{patience: c.Patience, in: make(chan mad.Packet, 64), probe: &prove.Probe{
		Version: 1, Site: c.Site, Tenant: c.Tenant, Lease: c.Lease, Node: c.Node, At: time.Now().UTC().Truncate(time.Second), Origin: claim.Hardware}}
	if c.Emulated != "" {
		socket, host, _ := strings.Cut(c.Emulated, "/")
		port, err := umad.OpenSim(umad.SimOptions{Socket: socket, Host: host})
		if err != nil {
			return err
		}
		p.way, p.under, p.probe.Origin = port, port.SendUnder, claim.Emulated
	} else {
		port, err := umad.Open(c.Umad, 4*c.Patience)
		if err == nil {
			err = port.General()
		}
		if err != nil {
			return err
		}
		p.way = port
	}
	go p.receive()
	p.reach(own, foreign, c.Peer, c.Other)
	p.manage(c.Other, c.Manager)
	if err := p.way.Close(); err != nil {
		return err
	}
	return finishProbe(p.probe, signer, c.Out, stdout, stderr)
}

// finishProbe signs a probe that shows something, and says what it came to.
func finishProbe(probe *prove.Probe, signer claim.Signer, file string, stdout io.Writer, stderr errorWriter) error {
	for _, t := range probe.Tries {
		mark := "ok"
		switch {
		case t.Got == prove.Unclear:
			mark = "nothing shown"
		case t.Got != t.Expect:
			mark = "NOT AS EXPECTED"
		}
		fmt.Fprintf(stdout, "%-16s %-8s %-10s %s, expected %s: %s\n", mark, t.Kind, t.Target, t.Got, t.Expect, t.What)
	}
	if err := probe.Check(); err != nil {
		fmt.Fprintln(stderr, "bulkhead-verify:", err)
		return rejected
	}
	statement, err := claim.NewStatement(probe.Node, claim.DigestOf([]byte(probe.Node)), prove.ProbePredicate, probe)
	if err != nil {
		return err
	}
	signed, err := claim.Sign(statement, signer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d tries, %d leaks, %d that show nothing; signed by %s: %s\n", len(probe.Tries), len(probe.Leaks()), len(probe.Open()), signer.KeyID, file)
	if leaks := probe.Leaks(); len(leaks) > 0 {
		fmt.Fprintf(stderr, "bulkhead-verify: reached what must not be: %s (%s)\n", leaks[0].What, leaks[0].Target)
		return rejected
	}
	return nil
}

func (c *probeCommand) keys() (own mad.PKey, foreign []mad.PKey, err error) {
	read := func(flag, text string) mad.PKey {
		n, bad := strconv.ParseUint(text, 0, 16)
		if bad != nil && err == nil {
			err = fmt.Errorf("%s %.20q: expected a P_Key, 0x and up to 4 hexadecimal digits", flag, text)
		}
		return mad.PKey(n)
	}
	own = read("--own", c.Own) | mad.FullMember
	for _, text := range c.Foreign {
		foreign = append(foreign, read("--foreign", text))
	}
	if len(foreign) == 0 {
		foreign = []mad.PKey{own + 1, own - 1, 0x8123, own&^mad.FullMember + 1}
	}
	for _, k := range foreign {
		if k.Key() == own.Key() && err == nil {
			err = fmt.Errorf("--foreign %s: it is the lease's own: expected P_Keys of others", k)
		}
	}
	return own, foreign, err
}

func readSigner(path string) (claim.Signer, error) {
	text, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return claim.Signer{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return claim.Signer{}, fmt.Errorf("%s: expected PEM (openssl genpkey -algorithm ed25519 makes one)", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return claim.Signer{}, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return claim.Signer{}, fmt.Errorf("%s: expected an Ed25519 key", path)
	}
	return claim.Signer{KeyID: claim.KeyID(key.Public().(ed25519.PublicKey)), Key: key}, nil
}

func (p *prober) receive() {
	defer close(p.in)
	for {
		var m mad.Packet
		lost, err := p.way.Recv(&m)
		if err != nil {
			return
		}
		if !lost && m.Header().Method.IsResponse() {
			p.in <- m
		}
	}
}

// patient is how long an answer may take at least that must come: it is not missed
// because this node, or the one that answers, has much to do.
const patient = 5 * time.Second

// ask sends a packet and returns its answer, nil if none came in time.
func (p *prober) ask(lid uint16, key mad.PKey, m mad.Packet, expect string) (*mad.Packet, error) {
	p.tid++
	m.SetTID(p.tid)
	var err error
	if key != 0 && p.under != nil {
		err = p.under(lid, key, &m)
	} else {
		err = p.way.Send(lid, &m)
	}
	if err != nil {
		return nil, err
	}
	patience := p.patience
	if expect == prove.Reached {
		patience = max(patience, patient)
	}
	late := time.After(patience)
	for {
		select {
		case got, open := <-p.in:
			if !open {
				return nil, errors.New("the adapter is gone")
			}
			if uint32(got.TID()) == uint32(p.tid) {
				return &got, nil
			}
		case <-late:
			return nil, nil
		}
	}
}

// try notes what one packet came to. Granted says whether an answer gives what
// was asked for; nil: any answer does.
func (p *prober) try(kind, what, target, expect string, lid uint16, key mad.PKey, m mad.Packet, granted func(*mad.Packet) bool) *mad.Packet {
	t := prove.Try{Kind: kind, What: what, Target: target, Expect: expect}
	got, err := p.ask(lid, key, m, expect)
	switch {
	case err != nil:
		t.Got, t.Detail = prove.Unclear, err.Error()
	case got == nil:
		t.Got, t.Detail = prove.Denied, "no answer"
	case granted != nil && !granted(got):
		t.Got, t.Detail = prove.Denied, "status "+got.Header().Status.String()
	default:
		t.Got = prove.Reached
	}
	p.probe.Tries = append(p.probe.Tries, t)
	return got
}

func lidName(lid uint16) string { return "LID " + strconv.Itoa(int(lid)) }

// reach asks hosts for what every adapter answers, under keys.
func (p *prober) reach(own mad.PKey, foreign []mad.PKey, peers, others []uint16) {
	var question mad.Packet
	question.SetHeader(mad.Header{BaseVersion: mad.Version, Class: mad.ClassPerf, ClassVersion: mad.Version, Method: mad.Get, Attribute: mad.AttrClassPortInfo})
	for _, lid := range peers {
		p.try("p-key", "a host of the same lease, under its key "+own.String(), lidName(lid), prove.Reached, lid, own, question, nil)
	}
	for _, lid := range others {
		p.try("p-key", "another host, under the lease's key "+own.String(), lidName(lid), prove.Denied, lid, own, question, nil)
	}
	if p.under == nil {
		return // an adapter sends what its own table holds
	}
	limited := mad.DefaultPKey &^ mad.FullMember
	for _, k := range append([]mad.PKey{limited}, foreign...) {
		for _, lid := range append(others[:len(others):len(others)], peers[:1]...) {
			p.try("p-key", "under the key "+k.String()+", which is not the lease's", lidName(lid), prove.Denied, lid, k, question, nil)
		}
	}
}

// manage tries the ways into the subnet's management. What subnet administration
// says of this node itself is the control.
func (p *prober) manage(others []uint16, manager uint16) {
	const kind = "management"
	local, err := mad.NewByRoute(mad.Get, mad.AttrPortInfo, 1, nil)
	if err != nil {
		return
	}
	// At M_Key level 2 a node is not told its own LID this way: that is one of the tries.
	p.try(kind, "this node's PortInfo without its M_Key, by a subnet management packet", "this node", prove.Denied, mad.PermissiveLID, 0, local.Encode(), nil)
	sa := mad.SA{Method: mad.Get, Attribute: mad.AttrClassPortInfo}
	if manager == 0 {
		manager = p.manager(sa)
	}
	granted := func(got *mad.Packet) bool { return got.Header().Status == mad.StatusOK }
	p.try(kind, "subnet administration, as every host may", lidName(manager), prove.Reached, manager, 0, sa.Encode(), granted)
	for _, lid := range others {
		record := mad.SA{Method: mad.Get, Attribute: mad.AttrNodeRecord, Components: 1}
		binary.BigEndian.PutUint16(record.Data[:], lid)
		p.try(kind, "what subnet administration says of another host", lidName(lid), prove.Denied, manager, 0, record.Encode(), granted)
		keys := mad.SA{Method: mad.Get, Attribute: mad.AttrPKeyRecord, Components: 1}
		binary.BigEndian.PutUint16(keys.Data[:], lid)
		p.try(kind, "the P_Keys of another host, from subnet administration", lidName(lid), prove.Denied, manager, 0, keys.Encode(), granted)
	}
	for _, t := range []struct {
		what, target string
		method       mad.Method
		attribute    mad.Attribute
		modifier     uint32
		route        []byte
	}{
		{"this node's P_Key table, written without its M_Key", "this node", mad.Set, mad.AttrPKeyTable, 0, nil},
		{"the leaf's P_Key table, read without its M_Key", "the leaf", mad.Get, mad.AttrPKeyTable, mad.PKeyModifier(1, 0), []byte{1}},
		{"the leaf's P_Key table, written without its M_Key", "the leaf", mad.Set, mad.AttrPKeyTable, mad.PKeyModifier(1, 0), []byte{1}},
	} {
		s, err := mad.NewByRoute(t.method, t.attribute, t.modifier, t.route)
		if err == nil {
			p.try(kind, t.what, t.target, prove.Denied, mad.PermissiveLID, 0, s.Encode(), nil)
		}
	}
	// A rogue manager asks the master to hand over to it.
	s := mad.NewByLID(mad.Set, mad.AttrSMInfo, 1) // HANDOVER (14.4.1)
	info := mad.SMInfo{GUID: 1, SMKey: 1, Priority: 15, State: mad.SMMaster}
	s.Data = info.Encode()
	p.try(kind, "mastership, as a manager of priority 15 with the default key", lidName(manager), prove.Denied, manager, 0, s.Encode(),
		func(got *mad.Packet) bool { return got.Header().Status == mad.StatusOK })
}

// manager finds the LID at which subnet administration answers: on a subnet under
// OpenSM one of the first. It is no secret.
func (p *prober) manager(sa mad.SA) uint16 {
	for lid := uint16(1); lid <= 8; lid++ {
		if got, err := p.ask(lid, 0, sa.Encode(), prove.Unclear); err == nil && got != nil {
			return lid
		}
	}
	return 1
}
