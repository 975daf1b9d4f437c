package conf

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func settings(dir string) Settings {
	return Settings{PortGUID: 0x0002c90000100031, Partitions: dir + "/partitions.conf", Log: dir + "/opensm.log", Dumps: dir,
		MKey: 0x1122334455667788, SMKey: 0x99aabbccddeeff00, SAKey: 0x0123456789abcdef,
		Priority: 15, Routing: "ftree", Sweep: 10, Console: "off"}
}

// opensm runs the real one so that it reads a file, writes its settings to
// another and exits. It returns what it said and what it wrote.
func opensm(t *testing.T, conf []byte) (said string, wrote map[string]string) {
	t.Helper()
	program, err := exec.LookPath("opensm")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/opensm"); err != nil {
			t.Skip("needs opensm: apt-get install opensm")
		}
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.conf"), filepath.Join(dir, "out.conf")
	if err := os.WriteFile(in, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(program, "-F", in, "-c", out).CombinedOutput()
	if err != nil {
		t.Fatalf("opensm: %v: %s", err, text)
	}
	dump, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	wrote = map[string]string{}
	for line := range strings.Lines(string(dump)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && name[0] != '#' {
			wrote[name] = value
		}
	}
	return string(text), wrote
}

// TestKnownIsWhatOpenSMKnows: the installed OpenSM has just the names that are known here.
func TestKnownIsWhatOpenSMKnows(t *testing.T) {
	_, wrote := opensm(t, nil)
	if have, want := slices.Sorted(maps.Keys(wrote)), slices.Sorted(maps.Keys(known)); !slices.Equal(have, want) {
		t.Errorf("OpenSM has %v, %v are known here", have, want)
	}
}

// TestOpenSMTakesEverySetting: OpenSM reports each value as it was written, and
// skips none. It is shown that it would say so.
func TestOpenSMTakesEverySetting(t *testing.T) {
	conf, err := GenerateOptions(settings("/var/lib/fabric"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := ParseOptions(conf)
	if err != nil {
		t.Fatal(err)
	}
	said, wrote := opensm(t, conf)
	if strings.Contains(said, "Unrecognized") || strings.Contains(said, "Invalid") {
		t.Errorf("OpenSM complains: %s", said)
	}
	for name, value := range want {
		if wrote[name] != value {
			t.Errorf("%s: OpenSM has %q, expected %q", name, wrote[name], value)
		}
	}
	for _, name := range []string{"m_key_per_port TRUE", "allowed_sm_guids 0x1", "m_key_protect_level 2"} {
		if said, _ := opensm(t, []byte(name+"\n")); !strings.Contains(said, "Unrecognized") {
			t.Errorf("%s: OpenSM knows it: %s", name, said)
		}
		if _, err := ParseOptions([]byte(name + "\n")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGeneratedFileHoldsEveryDemandThatThisOpenSMHas(t *testing.T) {
	text, err := GenerateOptions(settings("/var/lib/fabric"))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := ParseOptions(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Demands() {
		err := d.Holds(conf)
		if d.Option == "" {
			if err == nil || d.Lacks == "" || !strings.Contains(err.Error(), "not in this OpenSM") {
				t.Errorf("%s: error %v, lacks %q", d.Name, err, d.Lacks)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		without := maps.Clone(conf)
		delete(without, d.Option)
		if d.Holds(without) == nil {
			t.Errorf("%s holds without %s", d.Name, d.Option)
		}
	}
}

// TestDefaultsOfOpenSMDoNotHold: an owner's untouched OpenSM is found wanting.
func TestDefaultsOfOpenSMDoNotHold(t *testing.T) {
	_, wrote := opensm(t, nil)
	for _, name := range []string{"M_Key", "M_Key protection level 2", "M_Key lease 60 s", "SM key", "SA key", "SM priority", "babbling port policy"} {
		i := slices.IndexFunc(Demands(), func(d Demand) bool { return d.Name == name })
		if i < 0 || Demands()[i].Holds(wrote) == nil {
			t.Errorf("%s holds with OpenSM's defaults", name)
		}
	}
}

func TestOpenSettingsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"no M_Key":            func(s *Settings) { s.MKey = 0 },
		"small SM key":        func(s *Settings) { s.SMKey = 1 },
		"two keys the same":   func(s *Settings) { s.SAKey = s.MKey },
		"sweep above lease":   func(s *Settings) { s.Sweep = 60 },
		"no sweep":            func(s *Settings) { s.Sweep = 0 },
		"console on network":  func(s *Settings) { s.Console = "socket" },
		"relative path":       func(s *Settings) { s.Partitions = "partitions.conf" },
		"path with a comment": func(s *Settings) { s.Partitions = "/etc/a#b" },
		"line in a path":      func(s *Settings) { s.Log = "/var/log/x\nm_key 0x0" },
		"priority":            func(s *Settings) { s.Priority = 16 },
		"line in the routing": func(s *Settings) { s.Routing = "ftree\nm_key 0" },
	} {
		s := settings("/d")
		change(&s)
		if _, err := GenerateOptions(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	for _, text := range []string{"m_key 0x1", "mkey 0x1\n", "m_key\n", "m_key 0x1\nm_key 0x2\n", "m_key \"0x1\"\n", "m_key 0x1\r\n",
		"log_prefix " + strings.Repeat("x", 1100) + "\n"} {
		if _, err := ParseOptions([]byte(text)); err == nil {
			t.Errorf("%.40q: accepted", text)
		}
	}
}

func FuzzParseOptions(f *testing.F) {
	text, _ := GenerateOptions(settings("/d"))
	f.Add(text)
	f.Add([]byte("m_key 0x1 # secret\n\n\tsm_key\t0x2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		conf, err := ParseOptions(text)
		if err != nil {
			return
		}
		for name, value := range conf {
			if !known[name] || value == "" {
				t.Fatalf("accepted %q %q", name, value)
			}
		}
		for _, d := range Demands() {
			_ = d.Holds(conf)
		}
	})
}
