package conf

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Settings is what differs from site to site. Keys are secrets: the file that
// GenerateOptions makes is for OpenSM's eyes only (mode 0600).
type Settings struct {
	PortGUID   uint64 // port that OpenSM binds to
	Partitions string // path of partitions.conf, absolute
	Log        string // path of the log, absolute
	Dumps      string // folder for the files that OpenSM dumps, absolute

	MKey  uint64 // one for the subnet: this OpenSM has no key per port
	SMKey uint64 // who knows it may take over
	SAKey uint64 // who knows it is trusted with all records

	Priority  int  // 0 to 15; the greatest wins mastership: the owner's SMs have the greatest
	IgnoreSMs bool // do not hand over to any other SM, for a subnet with one
	Routing   string
	Sweep     int // seconds between sweeps, 1 to 59: below the M_Key's lease

	Console     string // "off" or "loopback"
	ConsolePort int
}

// The M_Key's protection that is asked for (IBTA volume 1, 14.2.4): who lacks the
// key gets no answer, and the lease lets a new SM in after a minute without one.
const (
	MKeyProtection = 2
	MKeyLease      = 60 // seconds
)

// WeakKey says of a key whether anybody guesses it; OpenSM's own default is 1.
func WeakKey(key uint64) bool { return key>>32 == 0 || key&0xffffffff == 0 }

// Check refuses settings that leave the subnet open.
func (s *Settings) Check() error {
	for _, k := range []struct {
		name string
		key  uint64
	}{{"m_key", s.MKey}, {"sm_key", s.SMKey}, {"sa_key", s.SAKey}} {
		if WeakKey(k.key) {
			return fmt.Errorf("opensm.conf: %s: expected 64 random bits; OpenSM's own defaults are 0 and 1, which everybody tries", k.name)
		}
	}
	if s.MKey == s.SMKey || s.MKey == s.SAKey || s.SMKey == s.SAKey {
		return fmt.Errorf("opensm.conf: m_key, sm_key and sa_key: expected three different keys, because they are told to different parties")
	}
	for _, p := range []struct{ name, path string }{{"partition_config_file", s.Partitions}, {"log_file", s.Log}, {"dump_files_dir", s.Dumps}} {
		if !strings.HasPrefix(p.path, "/") || strings.ContainsAny(p.path, " \t\n\r#\"'\x00") || len(p.path) > 500 {
			return fmt.Errorf("opensm.conf: %s %q: expected an absolute path without blanks, quotes or #", p.name, p.path)
		}
	}
	switch {
	case s.Priority < 0 || s.Priority > 15:
		return fmt.Errorf("opensm.conf: sm_priority %d: expected 0 to 15", s.Priority)
	case s.Sweep < 1 || s.Sweep >= MKeyLease:
		return fmt.Errorf("opensm.conf: sweep_interval %d: expected 1 to %d seconds: an M_Key that is not renewed within its lease of %d s opens the port", s.Sweep, MKeyLease-1, MKeyLease)
	case s.Console != "off" && s.Console != "loopback":
		return fmt.Errorf("opensm.conf: console %q: expected off or loopback: a console that listens to the network asks for no password", s.Console)
	case s.Console == "loopback" && (s.ConsolePort < 1 || s.ConsolePort > 65535):
		return fmt.Errorf("opensm.conf: console_port %d: expected 1 to 65535", s.ConsolePort)
	case s.Routing == "" || strings.ContainsAny(s.Routing, " \t\n\r#\"'\x00"):
		return fmt.Errorf("opensm.conf: routing_engine %q: expected names with commas between them, as in \"ftree\"", s.Routing)
	}
	return nil
}

// GenerateOptions writes opensm.conf, after Check. Every value is written out, also
// where it is OpenSM's default, so that the file says all that matters and
// nothing comes from a build. It never contains a name that OpenSM does not know.
func GenerateOptions(s Settings) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# OpenSM under Bulkhead. Written as a whole; an edit by hand is refused.\n")
	for _, o := range s.options() {
		if !known[o.name] {
			return nil, fmt.Errorf("opensm.conf: %s is not a setting of OpenSM 3.3.23, which would skip it", o.name)
		}
		fmt.Fprintf(&b, "%s %s\n", o.name, o.value)
	}
	if _, err := ParseOptions(b.Bytes()); err != nil {
		return nil, fmt.Errorf("what was generated does not parse, so it is not written: %w", err)
	}
	return b.Bytes(), nil
}

type option struct{ name, value string }

func (s *Settings) options() []option {
	yes := func(b bool) string { return strings.ToUpper(strconv.FormatBool(b)) }
	key := func(k uint64) string { return fmt.Sprintf("0x%016x", k) }
	n := strconv.Itoa
	out := []option{
		{"guid", key(s.PortGUID)},
		// Keys.
		{"m_key", key(s.MKey)},
		{"m_key_lease_period", n(MKeyLease)},
		{"m_key_protection_level", n(MKeyProtection)},
		{"m_key_lookup", "TRUE"}, // what OpenSM remembered of a port's key, so that a restart finds the port
		{"sm_key", key(s.SMKey)},
		{"sa_key", key(s.SAKey)},
		// Partitions.
		{"partition_config_file", s.Partitions},
		{"no_partition_enforcement", "FALSE"},
		{"part_enforce", "both"},
		{"allow_both_pkeys", "FALSE"}, // one membership of a key at a time, as rows are compiled
		{"keep_pkey_indexes", "TRUE"}, // programs remember a key's place in the table
		// Other SMs.
		{"sm_priority", n(s.Priority)},
		{"ignore_other_sm", yes(s.IgnoreSMs)},
		{"sminfo_polling_timeout", "1000"},
		{"polling_retry_number", "4"},
		{"sm_inactive", "FALSE"},
		{"honor_guid2lid_file", "TRUE"}, // the same LIDs after a restart
		// Sweeps and the load that a port can cause.
		{"sweep_interval", n(s.Sweep)},
		{"sweep_on_trap", "TRUE"},
		{"max_wire_smps", "32"},
		{"max_wire_smps2", "32"},
		{"max_msg_fifo_timeout", "10000"}, // milliseconds
		{"babbling_port_policy", "TRUE"},  // a port that floods the SM with traps is disabled
		{"drop_event_subscriptions", "TRUE"},
		{"mcgroup_join_validation", "TRUE"},
		{"ipoib_mcgroup_creation_validation", "TRUE"},
		{"routing_engine", s.Routing},
		{"reassign_lids", "FALSE"},
		// What OpenSM leaves behind.
		{"log_file", s.Log},
		{"log_flags", "0x03"}, // errors and information
		{"force_log_flush", "TRUE"},
		{"accum_log_file", "TRUE"},
		{"log_max_size", "512"}, // MB
		{"dump_files_dir", s.Dumps},
		{"fsync_high_avail_files", "TRUE"},
		{"exit_on_fatal", "TRUE"}, // duplicated GUIDs and the like are for people, not to go on with
		{"daemon", "FALSE"},       // the owner's supervision watches it
		// Ways in.
		{"event_plugin_name", "(null)"},
		{"console", s.Console},
	}
	if s.Console == "loopback" {
		out = append(out, option{"console_port", n(s.ConsolePort)})
	}
	return out
}
