package drivers

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
)

// openSMConfig is one InfiniBand subnet under the owner's OpenSM. Its keys are in
// opensm.conf and nowhere else.
type openSMConfig struct {
	Options     string        `yaml:"options"`      // opensm.conf, as OpenSM was started with
	Partitions  string        `yaml:"partitions"`   // partitions.conf, which is written
	PIDFile     string        `yaml:"pid-file"`     // SIGHUP to the process in it ...
	ConsolePort int           `yaml:"console-port"` // ... or "resweep heavy" to its console on loopback
	SMs         []hexGUID     `yaml:"sms"`          // port GUIDs that the owner's SMs may run on
	Service     []hexGUID     `yaml:"service"`      // port GUIDs of the owner's other hosts, which may be full members of 0x7fff
	Umad        string        `yaml:"umad"`         // way in for read-back: a device such as /dev/infiniband/umad0 ...
	Emulated    *emulatedWay  `yaml:"emulated"`     // ... or a fabric in a lab
	Bound       time.Duration `yaml:"bound"`        // how long devices may take to follow; default 1m
	Resweep     time.Duration `yaml:"resweep"`      // how old the map of the fabric may be when tables are read; default 5s
	Window      int           `yaml:"window"`       // requests on the way at a time; default 64
	Timeout     time.Duration `yaml:"timeout"`      // for one try of a request; default 500ms

	// What prepare writes, where OpenSM has no files yet.
	Port     hexGUID `yaml:"port"`     // port GUID that OpenSM binds to
	Log      string  `yaml:"log"`      // of OpenSM; default beside partitions.conf
	Priority int     `yaml:"priority"` // 14 or 15; default 15
	Routing  string  `yaml:"routing"`  // default minhop
	Sweep    int     `yaml:"sweep"`    // seconds between OpenSM's sweeps; default 10
}

// emulatedWay is the way into a fabric that speaks ibsim's protocol: evidence from
// there says emulated.
type emulatedWay struct {
	Socket string `yaml:"socket"`
	Host   string `yaml:"host"`
}

type openSM struct {
	c  *openSMConfig
	at func(string) string
}

func (o *openSM) check() error {
	c := o.c
	for _, file := range []struct{ name, path string }{{"options", c.Options}, {"partitions", c.Partitions}} {
		if file.path == "" {
			return fmt.Errorf("%s: expected the path of a file", file.name)
		}
	}
	if (c.PIDFile == "") == (c.ConsolePort == 0) {
		return errors.New("expected either pid-file or console-port: how OpenSM is told to read its file again")
	}
	if c.ConsolePort < 0 || c.ConsolePort > 65535 {
		return fmt.Errorf("console-port: %d: expected 1 to 65535", c.ConsolePort)
	}
	if len(c.SMs) == 0 {
		return errors.New("sms: expected the port GUIDs that your SMs run on: an SM anywhere else is a stranger")
	}
	if (c.Umad == "") == (c.Emulated == nil) {
		return errors.New("expected either umad or emulated: the way in for read-back, from another host than OpenSM's if you can")
	}
	if c.Window < 0 || c.Window > 4096 {
		return fmt.Errorf("window: %d: expected 1 to 4096", c.Window)
	}
	return errors.Join(between("bound", c.Bound, time.Second, time.Hour), between("timeout", c.Timeout, time.Millisecond, time.Minute),
		between("resweep", c.Resweep, time.Second, time.Hour))
}

func guids(list []hexGUID) []uint64 {
	out := make([]uint64, len(list))
	for i, g := range list {
		out[i] = uint64(g)
	}
	return out
}

// keys reads what OpenSM's file says of itself.
func (o *openSM) keys() (mkey, smkey uint64, err error) {
	path := o.at(o.c.Options)
	text, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return 0, 0, fmt.Errorf("options: %w; bulkhead drivers prepare writes a hardened one", err)
	}
	options, err := conf.ParseOptions(text)
	if err != nil {
		return 0, 0, fmt.Errorf("options %s: %w", path, err)
	}
	read := func(name string) uint64 {
		if _, set := options[name]; !set {
			return 0 // OpenSM's default for the M_Key; the posture says what that costs
		}
		key, bad := strconv.ParseUint(options[name], 0, 64)
		if bad != nil && err == nil {
			err = fmt.Errorf("options %s: %s: expected a number of 64 bits, as in 0x0123456789abcdef", path, name)
		}
		return key
	}
	return read("m_key"), read("sm_key"), err
}

// open makes the driver, with its posture.
func (o *openSM) open(_ context.Context, in inventory, index int, log *slog.Logger) (fabric.Driver, func() error, error) {
	c := o.c
	mkey, smkey, err := o.keys()
	if err != nil {
		return nil, nil, err
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 500 * time.Millisecond
	}
	window := c.Window
	if window == 0 {
		window = 64
	}
	origin := claim.Hardware
	if c.Emulated != nil {
		origin = claim.Emulated
	}
	way, err := o.way(timeout)
	if err != nil {
		return nil, nil, err
	}
	client, err := smp.New(way, smp.Options{Window: window, Timeout: timeout, Tries: 3})
	if err != nil {
		return nil, nil, errors.Join(err, way.Close())
	}
	var tell opensm.Reloader = opensm.Signal{PIDFile: o.at(c.PIDFile)}
	if c.ConsolePort != 0 {
		tell = opensm.Console{Port: c.ConsolePort}
	}
	edge := opensm.Wiring(in.site, in.units, in.site.Fabrics[index].ID)
	if len(edge.Leaves) == 0 {
		return nil, nil, errors.Join(fmt.Errorf("the site has no leaf in fabric %s: expected a site file that has, under site", in.site.Fabrics[index].ID), client.Close())
	}
	alarm, deafen, err := o.listen(client, smp.OneKey(mkey), timeout, log)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	resweep := c.Resweep
	if resweep == 0 {
		resweep = 5 * time.Second // a change is waited for by many readings
	}
	reader := &opensm.SMPReader{Client: client, Keys: smp.OneKey(mkey), Edge: edge, Owner: append(guids(c.SMs), guids(c.Service)...), Resweep: resweep, Alarm: alarm}
	file := &opensm.File{Path: o.at(c.Partitions)}
	sms := guids(c.SMs)
	d := &opensm.Driver{
		Site: in.site, Fabric: index, Leaves: edge.Leaves, Service: guids(c.Service), Origin: origin, Reader: reader, SMs: sms, Alarm: alarm,
		Manager: &opensm.Manager{File: file, Reload: tell, Bound: c.Bound},
	}
	room := &opensm.Room{
		Open:    func() (smp.Transport, error) { return o.way(timeout) },
		Manager: func(ctx context.Context) (uint16, error) { return client.ManagerLID(ctx, smp.OneKey(mkey)) },
		Port:    func(ctx context.Context) (uint64, error) { return client.LocalPort(ctx, smp.OneKey(mkey)) },
	}
	guard := &opensm.Posture{Reader: reader, Partitions: file, Options: o.at(c.Options), SMs: sms, SMKey: smkey, Room: room}
	return &opensm.Guarded{Driver: d, Guard: guard}, func() error { return errors.Join(deafen(), client.Close()) }, nil
}

// way is a way into the fabric of its own.
func (o *openSM) way(timeout time.Duration) (smp.Transport, error) {
	if o.c.Emulated != nil {
		return umad.OpenSim(umad.SimOptions{Socket: o.c.Emulated.Socket, Host: o.c.Emulated.Host})
	}
	return umad.Open(o.c.Umad, 4*timeout)
}

// listen hears the notices that devices send the manager, once somebody waits for
// them. Without them everything is seen at the next look, so it is no error that
// another program of this host hears them already.
func (o *openSM) listen(client *smp.Client, keys smp.Keys, timeout time.Duration, log *slog.Logger) (opensm.Alarm, func() error, error) {
	const deaf = "does not hear what devices tell the manager: changes are seen at the next look"
	way, err := o.way(timeout)
	if err != nil {
		return nil, nil, err
	}
	if port, is := way.(*umad.Port); is {
		if err := port.General(mad.Report); err != nil {
			log.Warn(deaf, "why", err.Error())
			return nil, way.Close, nil
		}
	}
	l := opensm.NewListener(way, opensm.ListenerOptions{
		Manager: func(ctx context.Context) (uint16, error) { return client.ManagerLID(ctx, keys) },
		Say: func(subscribed bool, why error) {
			if subscribed {
				log.Info("hears what devices tell the manager")
			} else {
				log.Warn(deaf, "why", why.Error())
			}
		},
	})
	return l, l.Close, nil
}

// prepare writes opensm.conf with new secret keys, and a partitions.conf under
// which nobody talks to anybody, where there are none.
func (o *openSM) prepare(ctx context.Context) (did []string, err error) {
	c := o.c
	optionsPath, partitionsPath := o.at(c.Options), o.at(c.Partitions)
	if _, err := os.Stat(partitionsPath); errors.Is(err, fs.ErrNotExist) {
		closed, err := conf.CheckedPartitions(&conf.Partitioning{})
		if err == nil {
			err = (&opensm.File{Path: partitionsPath}).Put(ctx, closed, fabric.Fence{})
		}
		if err != nil {
			return did, err
		}
		did = append(did, "wrote "+partitionsPath+": every port a limited member of the default partition, and of nothing else")
	} else if err != nil {
		return did, err
	} else {
		did = append(did, partitionsPath+" is there, and stays as it is")
	}
	if _, err := os.Stat(optionsPath); err == nil {
		return append(did, optionsPath+" is there, and stays as it is"), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return did, err
	}
	s := conf.Settings{PortGUID: uint64(c.Port), Partitions: partitionsPath, Log: o.at(c.Log), Dumps: filepath.Dir(partitionsPath),
		Priority: c.Priority, Routing: c.Routing, Sweep: c.Sweep, IgnoreSMs: len(c.SMs) == 1, Console: "off"}
	if c.ConsolePort != 0 {
		s.Console, s.ConsolePort = "loopback", c.ConsolePort
	}
	if s.Log == "" {
		s.Log = filepath.Join(s.Dumps, "opensm.log")
	}
	if s.Priority == 0 {
		s.Priority = 15
	}
	if s.Routing == "" {
		s.Routing = "minhop"
	}
	if s.Sweep == 0 {
		s.Sweep = 10
	}
	if s.PortGUID == 0 {
		if len(c.SMs) != 1 {
			return did, errors.New("opensm.port: expected the port GUID that OpenSM binds to on this host")
		}
		s.PortGUID = uint64(c.SMs[0])
	}
	for _, key := range []*uint64{&s.MKey, &s.SMKey, &s.SAKey} {
		for conf.WeakKey(*key) {
			var b [8]byte
			_, _ = rand.Read(b[:]) // never fails, see its documentation
			*key = binary.BigEndian.Uint64(b[:])
		}
	}
	text, err := conf.GenerateOptions(s)
	if err != nil {
		return did, err
	}
	f, err := os.OpenFile(optionsPath, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return did, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return did, errors.Join(err, os.Remove(optionsPath))
	}
	return append(did, "wrote "+optionsPath+" with new keys: start OpenSM with -F "+optionsPath+" -P "+partitionsPath), nil
}
