package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// Demand is one item of the hardening that must stand before anything is leased.
type Demand struct {
	Name string
	Why  string // what happens without it
	// Option is the setting of OpenSM 3.3.23 that it rests on; "" if this OpenSM has
	// nothing of the kind, and Lacks says what to do instead.
	Option string
	Lacks  string
	// holds judges the value of Option, or of the whole file where it needs more.
	holds func(value string, all map[string]string) error
}

// Demands returns them, in the order of a report. Those that this OpenSM
// lacks are listed with the others: a reader must see that they are not there.
func Demands() []Demand { return demands }

var demands = []Demand{
	{Name: "default partition limited", Why: "hosts of all tenants talk in 0x7fff", Option: "partition_config_file", holds: absolute},
	{Name: "enforcement at leaves", Why: "only the host's own HCA keeps to its P_Keys", Option: "part_enforce", holds: enforced},
	{Name: "one membership of a key", Why: "a port is full and limited at once, and read-back has two entries where a row has one", Option: "allow_both_pkeys", holds: is("FALSE")},
	{Name: "M_Key", Why: "any host writes any port's tables", Option: "m_key", holds: secret},
	{Name: "M_Key per port", Why: "one stolen key opens every port", Lacks: "one key for the subnet; NVIDIA's OpenSM has m_key_per_port"},
	{Name: "M_Key protection level 2", Why: "any host reads the tables and the key", Option: "m_key_protection_level", holds: is("2", "3")},
	{Name: "M_Key lease 60 s", Why: "a lease of 0 locks out the next SM for ever, a long one for long", Option: "m_key_lease_period", holds: lease},
	{Name: "M_Key lookup", Why: "after a restart OpenSM can't manage ports that kept their key", Option: "m_key_lookup", holds: is("TRUE")},
	{Name: "SM key", Why: "any SM of a greater priority is handed the subnet", Option: "sm_key", holds: secret},
	{Name: "SA key", Why: "any host asks the SA as somebody trusted", Option: "sa_key", holds: secret},
	{Name: "SM priority", Why: "an SM of a greater priority wins", Option: "sm_priority", holds: priority},
	{Name: "allowed SM GUIDs", Why: "an SM may run on any port", Lacks: "no list of SMs; NVIDIA's OpenSM has allowed_sm_guids. Strangers are looked for in read-back (SMInfo of every port)"},
	{Name: "enhanced SA trust", Why: "records of other tenants are read with a guessed SA key", Lacks: "NVIDIA's OpenSM has a trust model for the SA; here it answers by P_Key and SA key only"},
	{Name: "VS, CC and node-to-node keys", Why: "hosts reconfigure switches by vendor MADs", Lacks: "NVIDIA's OpenSM sets such keys; the cc_key here is used, but sets none"},
	{Name: "static topology", Why: "a node that is plugged in anywhere joins", Lacks: "nothing of the kind; read-back compares each port's neighbour with the inventory"},
	{Name: "drop unhealthy ports", Why: "a flapping port makes OpenSM sweep all the time", Lacks: "NVIDIA's OpenSM has a health monitor; the babbling port policy is the part that is here"},
	{Name: "babbling port policy", Why: "a host floods the SM with traps", Option: "babbling_port_policy", holds: is("TRUE")},
	{Name: "MAD rate limit", Why: "a host floods the SA with requests", Lacks: "no limit by port; a queue that is too old is dropped (max_msg_fifo_timeout), which hits everybody"},
	{Name: "multicast joins validated", Why: "a join changes a group for its members", Option: "mcgroup_join_validation", holds: is("TRUE")},
	{Name: "no plugin", Why: "code of somebody else runs in the SM", Option: "event_plugin_name", holds: is("(null)")},
	{Name: "console not on the network", Why: "the console asks for no password", Option: "console", holds: is("off", "loopback")},
	{Name: "log", Why: "nobody sees what OpenSM skipped", Option: "force_log_flush", holds: is("TRUE")},
}

// Holds judges a demand by a parsed opensm.conf. A setting that the file does not
// name does not hold, whatever this build's default is.
func (d *Demand) Holds(conf map[string]string) error {
	if d.Option == "" {
		return fmt.Errorf("not in this OpenSM: %s", d.Lacks)
	}
	value, set := conf[d.Option]
	if !set {
		return fmt.Errorf("no %s line in opensm.conf, so OpenSM's own default counts: add one, or let bulkhead drivers prepare write a hardened file", d.Option)
	}
	return d.holds(value, conf)
}

func is(good ...string) func(string, map[string]string) error {
	return func(value string, _ map[string]string) error {
		for _, g := range good {
			if value == g {
				return nil
			}
		}
		return fmt.Errorf("%s, expected %s", value, strings.Join(good, " or "))
	}
}

func absolute(value string, _ map[string]string) error {
	if !strings.HasPrefix(value, "/") {
		return fmt.Errorf("%s, expected an absolute path", value)
	}
	return nil
}

// secret never says what the key is.
func secret(value string, _ map[string]string) error {
	if key, err := strconv.ParseUint(value, 0, 64); err != nil || WeakKey(key) {
		return fmt.Errorf("expected 64 random bits, not a small number")
	}
	return nil
}

func enforced(value string, all map[string]string) error {
	if off := all["no_partition_enforcement"]; off != "FALSE" {
		return fmt.Errorf("no_partition_enforcement %s, expected FALSE", off)
	}
	return is("both")(value, all)
}

func lease(value string, all map[string]string) error {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 || seconds > MKeyLease {
		return fmt.Errorf("%s s, expected 1 to %d", value, MKeyLease)
	}
	if sweep, err := strconv.Atoi(all["sweep_interval"]); err != nil || sweep < 1 || sweep >= seconds {
		return fmt.Errorf("sweep_interval %s: expected 1 to %d s, below the lease", all["sweep_interval"], seconds-1)
	}
	return nil
}

func priority(value string, _ map[string]string) error {
	if p, err := strconv.Atoi(value); err != nil || p < 14 || p > 15 {
		return fmt.Errorf("%s, expected 15, or 14 for the second SM", value)
	}
	return nil
}
