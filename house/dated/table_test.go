package main

import (
	"os"
	"strings"
	"testing"
)

const document = `# Attacks

Last run: never.

| attack | by whom | packets between the rivals at first | sweep and reaction | what is done |
|---|---|---|---|---|
| a port is moved | an administrator | 64 | 1.1 s | locked down |
| a frame is forged | a node | 0 | - | dropped |

| what breaks | what must hold |
|---|---|
| a leaf | all |
`

func heard(attack, packets, seconds string) string {
	return `{"Action":"output","Package":"p","Test":"TestAttacks/x","Output":"    x_test.go:1: measured {\"attack\":\"` + attack + `\",\"packets\":` + packets + `,\"seconds\":` + seconds + `}\n"}` + "\n"
}

func measuredIn(t *testing.T, events ...string) map[string]*figures {
	t.Helper()
	m, err := read(strings.NewReader(strings.Join(events, "")))
	if err != nil {
		t.Fatal(err)
	}
	return m["p"]
}

func TestDated(t *testing.T) {
	m := measuredIn(t, "go: downloading\n", strings.Replace(heard("a port is moved", "9", "9"), "TestAttacks", "TestStory", 1), heard("a port is moved", "64", "1.14"), heard("a frame is forged", "0", "0.2"), heard("a port is moved", "290", "2.31"), heard("a frame is forged", "0", "0.3"))
	got, err := dated(document, m, run{"2026-11-29", "v1-2-gabc", "frr 8.4"})
	want := strings.NewReplacer("Last run: never.", "Last run: 2026-11-29, v1-2-gabc, 2 runs, in each of which every attack ended as its row says. Peers: frr 8.4.",
		"| 64 | 1.1 s |", "| 64 to 290 | 1.1 to 2.3 s |").Replace(document)
	if err != nil || got != want {
		t.Errorf("%v\n%s\nexpected\n%s", err, got, want)
	}
}

func TestNotDated(t *testing.T) {
	port, frame := heard("a port is moved", "64", "1"), heard("a frame is forged", "0", "1")
	for name, c := range map[string]struct {
		events []string
		text   string
		why    string
	}{
		"an attack was not mounted":         {[]string{port}, document, `"a frame is forged" was not mounted`},
		"one was mounted less often":        {[]string{port, port, frame}, document, "mounted 1 times"},
		"one has no row":                    {[]string{port, frame, heard("another", "0", "1")}, document, "has no row"},
		"the document has no line about it": {[]string{port, frame}, strings.ReplaceAll(document, "Last run: ", "Once: "), "expected one line"},
	} {
		if _, err := dated(c.text, measuredIn(t, c.events...), run{}); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, expected %q", name, err, c.why)
		}
	}
	if _, err := read(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestAttacks/x","Output":"measured {\"attack\":\"x\"}"}`)); err == nil {
		t.Error("a measurement without a figure was read")
	}
}

// The documents of the labs have what is dated in them.
func TestDocumentsCanBeDated(t *testing.T) {
	for _, d := range documents {
		text, err := os.ReadFile("../../" + d.path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count("\n"+string(text), "\n"+lastRun); n != 1 || !strings.Contains(string(text), headSeconds) {
			t.Errorf("%s has %d lines that begin with %q, expected one, and a column %q", d.path, n, lastRun, headSeconds)
		}
	}
}
