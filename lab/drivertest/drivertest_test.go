package drivertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Demands are asked in their order, each of a new fixture and under its name, and one that
// is not met fails the test with its reason and keeps no other from being asked.
func TestRun(t *testing.T) {
	if os.Getenv("DRIVERTEST_FAILS") != "" {
		made := 0
		met := func(context.Context, int) error { return nil }
		Run(t, []Requirement[int]{
			{"first", met},
			{"second", func(_ context.Context, fixture int) error {
				if fixture != 2 {
					return errors.New("another's fixture")
				}
				return errors.New("it forgets")
			}},
			{"third", met},
		}, func(*testing.T) int { made++; return made })
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestRun$", "-test.v")
	c.Env = append(os.Environ(), "DRIVERTEST_FAILS=1")
	out, err := c.CombinedOutput()
	if err == nil {
		t.Error("a demand that is not met fails nothing")
	}
	rest := string(out)
	for _, want := range []string{"it forgets", "--- PASS: TestRun/first", "--- FAIL: TestRun/second", "--- PASS: TestRun/third"} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("expected %q, in its order, in\n%s", want, out)
		}
		rest = after
	}
}
