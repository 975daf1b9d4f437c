package opensm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/custody"
	"bulkhead/fabric/infiniband/opensm/conf"
)

// How a check of the posture knows what it says.
const (
	Measured   = "measured"           // read from the fabric's devices
	Configured = "configured"         // in OpenSM's file, which is what was put there; nobody saw it act
	NotKnown   = "not known"          // could not be read: counts as no
	NotHere    = "not in this OpenSM" // there is nothing to check; what is done instead is said
)

// Check is one item of the posture.
type Check struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Grade    string `json:"grade"`
	Evidence string `json:"evidence"` // what was seen, in words; never a key
	Why      string `json:"why,omitempty"`
}

// Report is the posture of a subnet at a time.
type Report struct {
	At     time.Time `json:"at"`
	Checks []Check   `json:"checks"`
}

// Err is nil if nothing stands against a lease: every check that this OpenSM can
// pass, does. Items that this OpenSM lacks do not stand in the way; they stay in
// the report, and whoever leases decides whether they may be missing.
func (r *Report) Err() error {
	var bad []string
	for _, c := range r.Checks {
		if !c.OK && c.Grade != NotHere {
			bad = append(bad, c.Name+": "+c.Evidence)
		}
	}
	if len(r.Checks) == 0 {
		bad = append(bad, "nothing was checked")
	}
	if len(bad) > 0 {
		return fmt.Errorf("the subnet is not hardened: %s", strings.Join(bad, "; "))
	}
	return nil
}

// Posture is what is looked at.
type Posture struct {
	Reader     Reader
	Partitions *File
	Options    string   // path of opensm.conf
	SMs        []uint64 // port GUIDs that an SM may run on
	SMKey      uint64   // the owner's; 0: not compared
	Room       *Room    // what is tried of subnet administration; nil: nothing
}

// Posture looks at the files and at the fabric. What can't be looked at is a
// check that fails with NotKnown; the error is only for a context that ended.
func (p *Posture) Posture(ctx context.Context) (Report, error) {
	r := Report{At: time.Now()}
	r.Checks = append(r.Checks, p.partitionsCheck())
	r.Checks = append(r.Checks, p.optionChecks()...)
	g, err := p.Reader.Guard(ctx)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	r.Checks = append(r.Checks, p.measured(g, err)...)
	if p.Room != nil {
		r.Checks = append(r.Checks, p.Room.check(ctx))
	}
	return r, ctx.Err()
}

func (p *Posture) partitionsCheck() Check {
	c := Check{Name: "partitions.conf is ours and keeps the fabric closed", Grade: Configured, Why: "OpenSM opens the fabric on a file that it can't parse"}
	text, err := p.Partitions.Read()
	if err == nil {
		_, err = conf.ParsePartitions(text)
	}
	switch {
	case errors.Is(err, ErrEdited):
		c.Evidence = err.Error()
		if e := conf.Interpret(text, conf.Subnet{}); e.Open {
			c.Evidence += fmt.Sprintf("; OpenSM opens the fabric on it (line %d: %s)", e.Line, e.Why)
		}
	case err != nil:
		c.Evidence = err.Error()
	default:
		c.OK, c.Evidence = true, "it is the file that was put last"
	}
	return c
}

// started reads the options that OpenSM was started with.
func (p *Posture) started() (map[string]string, error) {
	text, err := custody.ReadFile(p.Options, custody.Small)
	if err != nil {
		return nil, err
	}
	return conf.ParseOptions(text)
}

func (p *Posture) optionChecks() []Check {
	var out []Check
	options, err := p.started()
	for _, d := range conf.Demands() {
		c := Check{Name: d.Name, Grade: Configured, Why: d.Why}
		switch {
		case d.Option == "":
			c.Grade, c.Evidence = NotHere, d.Lacks
		case err != nil:
			c.Grade, c.Evidence = NotKnown, err.Error()
		default:
			if bad := d.Holds(options); bad != nil {
				c.Evidence = bad.Error()
			} else {
				c.OK, c.Evidence = true, d.Option+" in "+p.Options
			}
		}
		if d.Option == "partition_config_file" && c.OK && options[d.Option] != p.Partitions.Path {
			c.OK, c.Evidence = false, fmt.Sprintf("OpenSM reads %s, and %s is written", options[d.Option], p.Partitions.Path)
		}
		out = append(out, c)
	}
	return out
}

// measured judges what the devices said.
func (p *Posture) measured(g Guard, err error) []Check {
	checks := []Check{
		{Name: "every port answered, or its leaf keeps it in", Why: "what is silent is not known to be guarded"},
		{Name: "every port has an M_Key", Why: "any host writes a port without one"},
		{Name: "every port is protected at level 2", Why: "any host reads the key of a port below it"},
		{Name: "every port's M_Key lease is 1 to 60 s", Why: "a lease of 0 locks out the next SM for ever"},
		{Name: "one master, on an allowed port", Why: "another SM opens the fabric"},
		{Name: "no SM on any other port", Why: "a stranger waits to take over"},
		{Name: "no SM of the master's priority or above waits", Why: "it takes over when it likes"},
		{Name: "no SM with a guessable or foreign key", Why: "who has the master's key may take over; OpenSM tells it to whoever asks with the M_Key, or to anybody where there is none"},
		{Name: "every adapter is in the inventory, at its place", Why: "nobody knows whose a stranger is, and what it may send"},
	}
	if !g.Counted {
		checks = checks[:len(checks)-1] // by a reader without an inventory
	}
	if err == nil && len(g.Ports) == 0 {
		err = errors.New("no port answered")
	}
	if err != nil {
		for i := range checks {
			checks[i].Grade, checks[i].Evidence = NotKnown, err.Error()
		}
		return checks
	}
	set := func(i int, bad []string, good string) {
		checks[i].Grade = Measured
		if checks[i].OK, checks[i].Evidence = len(bad) == 0, good; len(bad) > 0 {
			checks[i].Evidence = fmt.Sprintf("%d: %s", len(bad), strings.Join(bad[:min(len(bad), 8)], ", "))
		}
	}
	all := strconv.Itoa(len(g.Ports)) + " ports"
	answered := all
	if n := len(g.KeptIn); n > 0 {
		answered += fmt.Sprintf("; %d silent, each kept in by its leaf's port alone (assumption A1): %s", n, strings.Join(g.KeptIn[:min(n, 8)], ", "))
	}
	set(0, g.Silent, answered)
	ports := func(bad func(PortGuard) bool) []string {
		var out []string
		for _, q := range g.Ports {
			if bad(q) {
				out = append(out, fmt.Sprintf("0x%016x", q.GUID))
			}
		}
		return out
	}
	set(1, ports(func(q PortGuard) bool { return !q.MKey }), all)
	set(2, ports(func(q PortGuard) bool { return q.Level < conf.MKeyProtection }), all)
	set(3, ports(func(q PortGuard) bool { return q.Lease < 1 || q.Lease > conf.MKeyLease }), all)
	var masters, strangers, waiting, badKeys []string
	master := SM{}
	for _, m := range g.Managers {
		if m.Master {
			masters = append(masters, fmt.Sprintf("0x%016x", m.PortGUID))
			master = m
		}
	}
	for _, m := range g.Managers {
		name := fmt.Sprintf("0x%016x (%s, priority %d)", m.PortGUID, m.State, m.Priority)
		if !slices.Contains(p.SMs, m.PortGUID) {
			strangers = append(strangers, name)
		}
		if !m.Master && m.Priority >= master.Priority {
			waiting = append(waiting, name)
		}
		if m.SMKey != 0 && (conf.WeakKey(m.SMKey) || p.SMKey != 0 && m.SMKey != p.SMKey) {
			badKeys = append(badKeys, name)
		}
	}
	found := strconv.Itoa(len(g.Managers)) + " SMs"
	if len(masters) == 1 && slices.Contains(p.SMs, master.PortGUID) {
		set(4, nil, masters[0])
	} else {
		set(4, append(masters, "expected one, on an allowed port"), "")
	}
	set(5, strangers, found)
	set(6, waiting, found)
	set(7, badKeys, found)
	if g.Counted {
		var names []string
		for _, s := range g.Strangers {
			names = append(names, s.String())
		}
		set(8, names, all)
	}
	return checks
}

// ErrNotMaster is returned, wrapped, when the subnet is not managed by the
// owner's SM: what is written does not come into force, or not only that.
var ErrNotMaster = errors.New("the owner's OpenSM does not manage the subnet")

// Master reports an error unless just one SM manages the subnet, on one of the
// ports named.
func Master(ctx context.Context, r Reader, allowed []uint64) error {
	g, err := r.Guard(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotMaster, err)
	}
	var masters []uint64
	for _, m := range g.Managers {
		if m.Master {
			masters = append(masters, m.PortGUID)
		}
	}
	if len(masters) != 1 || !slices.Contains(allowed, masters[0]) {
		return fmt.Errorf("%w: masters on ports %#x, expected one, on one of %#x", ErrNotMaster, masters, allowed)
	}
	return nil
}
