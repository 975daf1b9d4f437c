package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// hears gives a gate lines of `go test -json`, and returns what it prints at the end
// and whether all is well. Between two lines a second passes.
func hears(t *testing.T, strict bool, lines ...string) (said string, well bool) {
	t.Helper()
	var out strings.Builder
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	g := newGate(&out, strict, func() time.Time { now = now.Add(time.Second); return now })
	well = g.end(g.read(strings.NewReader(strings.Join(lines, "\n"))))
	return out.String(), well
}

func line(action, test, more string) string {
	if test != "" {
		test = `,"Test":"` + test + `"`
	}
	return `{"Action":"` + action + `","Package":"a/b"` + test + more + `}`
}

var (
	start  = line("start", "", "")
	runX   = line("run", "TestX", "")
	passX  = line("pass", "TestX", `,"Elapsed":12.5`)
	passed = line("pass", "", `,"Elapsed":13`)
)

func output(test, text string) string { return line("output", test, `,"Output":"`+text+`\n"`) }

func TestVerdicts(t *testing.T) {
	skip := line("skip", "TestX", "")
	for name, c := range map[string]struct {
		lines  []string
		strict bool
		well   bool
		says   string
	}{
		"all pass": {[]string{start, runX, passX, passed}, true, true, "1 passed, 0 failed, 0 skipped"},
		"one fails": {[]string{start, runX, output("TestX", "it is wrong"), line("fail", "TestX", ""), line("fail", "", "")}, false, false,
			"it is wrong"},
		"a package fails outside its tests": {[]string{start, runX, passX, output("", "panic: no"), line("fail", "", "")}, false, false, "panic: no"},
		"it can't be built": {[]string{`{"ImportPath":"a/b","Action":"build-output","Output":"x.go:1: no\n"}`, `{"ImportPath":"a/b","Action":"build-fail"}`,
			start, runX, passX, passed}, false, false, "x.go:1: no"},
		"the toolchain's own words":          {[]string{"go: no such module", start, runX, passX, passed}, false, true, "go: no such module"},
		"skipped for what is missing":        {[]string{start, runX, passX, output("TestX", "needs frr"), skip, passed}, false, true, "1 skipped"},
		"skipped for what is missing, in CI": {[]string{start, runX, passX, output("TestX", "needs frr"), skip, passed}, true, false, "needs frr"},
		"skipped for no reason":              {[]string{start, runX, passX, output("TestX", "not today"), skip, passed}, false, false, "could have run"},
		"nothing ran":                        {[]string{start, line("skip", "", "")}, false, false, "no test ran"},
		"a test never ends":                  {[]string{start, runX, passX, line("run", "TestY", "")}, false, false, "a/b TestY began and never ended"},
		"a package never ends":               {[]string{start, runX, passX}, false, false, "a/b began and never ended"},
		"nothing at all":                     {nil, false, false, "no test ran"},
		"a test that is paused and goes on": {[]string{start, runX, line("pause", "TestX", ""), line("cont", "TestX", ""), passX, passed}, true, true,
			"1 passed"},
	} {
		if said, well := hears(t, c.strict, c.lines...); well != c.well || !strings.Contains(said, c.says) {
			t.Errorf("%s: all is well: %t, expected %t and %q; it says\n%s", name, well, c.well, c.says, said)
		}
	}
}

func TestSlowestAreNamed(t *testing.T) {
	said, _ := hears(t, false, start, runX, line("pass", "TestX/part", `,"Elapsed":12`), passX, line("pass", "TestQuick", `,"Elapsed":0.1`), passed)
	for _, want := range []string{"slowest packages: a/b 13.0 s\n", "slowest tests: a/b TestX 12.5 s\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
}

func TestProgressNamesWhatRuns(t *testing.T) {
	var out strings.Builder
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	g := newGate(&out, false, func() time.Time { return now })
	says := func(want string) {
		t.Helper()
		out.Reset()
		g.progress()
		if out.String() != want {
			t.Errorf("it says %q, expected %q", out.String(), want)
		}
	}
	says("...  0 s: building\n")
	for _, u := range []unit{{"a/b", ""}, {"a/b", "TestX"}, {"a/b", "TestXY"}, {"a/b", "TestX/part"}, {"c", ""}} {
		g.hear(event{Action: "start", Package: u.pkg, Test: u.test})
	}
	now = now.Add(21 * time.Second)
	says("...  21 s: running a/b TestX/part (21 s), a/b TestXY (21 s), c (21 s)\n")
	g.hear(event{Action: "pass", Package: "a/b", Test: "TestX/part"})
	g.hear(event{Action: "pause", Package: "a/b", Test: "TestXY"})
	says("...  21 s: running a/b TestX (21 s), c (21 s)\n")
}

func TestWhatCantBeReadIsNotWell(t *testing.T) {
	var out strings.Builder
	g := newGate(&out, false, time.Now)
	if err := g.read(strings.NewReader(strings.Join([]string{start, runX, passX, passed}, "\n"))); err != nil {
		t.Fatal(err)
	}
	if g.end(errors.New("cut off")) {
		t.Error("the output was cut off, and all is well")
	}
}
