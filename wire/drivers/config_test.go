package drivers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFilesAreRefused: what makes no sense is refused before anything is touched, by
// the place in the file and with what was expected.
func TestBadFilesAreRefused(t *testing.T) {
	const evpn = "evpn: {agents: leaves, reflectors: 2}"
	const opensm = `opensm: {options: o, partitions: p, sms: ["0x12"], umad: /dev/umad0, console-port: 10000}`
	file := func(fabrics string) string { return "socket: s\nsite: [site.yaml]\nfabrics: [" + fabrics + "]\n" }
	for text, want := range map[string]string{
		"":                           ":1:1: empty: expected socket or tls, site and fabrics",
		"fabrics: []\n":              "socket, tls: expected one of the two",
		"socket: s\ntls: {}\n":       "socket, tls: expected one of the two",
		"tls: {listen: \"h:1\"}\n":   "tls: expected listen (HOST:PORT), certificate, key and authorities",
		"socket: s\n":                "site: expected",
		"socket: s\nsite: [x]\n":     "fabrics: expected",
		file("{id: a, opensim: {}}"): "drivers.yaml:3:19: fabrics[0].opensim: unknown field: expected one of evpn, id",
		file("{id: a}"):              "drivers.yaml:3:11: fabrics[0]: 0 drivers are configured for \"a\": expected one of opensm, evpn",
		file("{id: a, " + evpn + ", " + opensm + "}"):                                 "fabrics[0]: 2 drivers are configured for \"a\"",
		file("{id: a, " + evpn + "}, {id: a, " + evpn + "}"):                          `fabrics[1]: "a" is configured twice`,
		file("{id: a, evpn: {agents: leaves}}"):                                       "fabrics[0].evpn: expected either reflectors",
		file("{id: a, evpn: {agents: leaves, reflectors: 2, bound: 1ms}}"):            "bound: 1ms: expected 100ms to 1h0m0s",
		file("{id: a, evpn: {agents: leaves, at: [here]}}"):                           `at[0]: "here": expected an IP address`,
		file("{id: a, " + strings.Replace(opensm, `"0x12"`, "12", 1) + "}"):           `GUID "12": expected 0x`,
		file("{id: a, " + strings.Replace(opensm, ", umad: /dev/umad0", "", 1) + "}"): "fabrics[0].opensm: expected either umad or emulated",
		file("{id: a, " + evpn + ", management: {gateway: g}}"):                       "fabrics[0].management: expected gateway, manage and legs",
	} {
		path := filepath.Join(t.TempDir(), "drivers.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected it to say %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "drivers.yaml")
	if err := os.WriteFile(path, []byte(file("{id: a, "+evpn+"}, {id: b, "+opensm+"}")), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := f.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.Addr().String(); got != filepath.Join(filepath.Dir(path), "s") {
		t.Errorf("it serves on %s, expected the socket beside the file", got)
	}
}
