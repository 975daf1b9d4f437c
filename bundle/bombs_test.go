package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
)

// stepTime is what a step may take on a core that does nothing else; slow is how much
// slower a busy machine may be.
const (
	stepTime = 100 * time.Nanosecond
	slow     = 4
)

// took is what one verification came to.
type took struct {
	exit   int
	rss    int64 // peak, bytes
	cpu    time.Duration
	output []byte
}

// TestMeasured is no test: it is the process that measures a verifier. What Linux calls
// the peak of a process counts that of its parent up to exec, which must be small.
func TestMeasured(t *testing.T) {
	command := os.Getenv("BULKHEAD_MEASURED")
	if command == "" {
		return // TestBombs starts it again, with what it measures
	}
	args := strings.Split(command, "\n")
	c := exec.Command(args[0], args[1:]...)
	output, err := c.CombinedOutput()
	if c.ProcessState == nil {
		fmt.Println(err)
		os.Exit(3)
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	fmt.Printf("%d %d %d\n%s", c.ProcessState.ExitCode(), int64(usage.Maxrss)<<10, usage.Utime.Nano()+usage.Stime.Nano(), output)
	os.Exit(0)
}

func measure(t *testing.T, args ...string) took {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestMeasured$")
	c.Env = append(os.Environ(), "BULKHEAD_MEASURED="+strings.Join(args, "\n"), "GOGC=", "GOMEMLIMIT=")
	printed, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	head, output, _ := bytes.Cut(printed, []byte("\n"))
	fields := strings.Fields(string(head))
	if len(fields) != 3 {
		t.Fatalf("measured %q", head)
	}
	n := make([]int64, 3)
	for i, f := range fields {
		if n[i], err = strconv.ParseInt(f, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return took{int(n[0]), n[1], time.Duration(n[2]), output}
}

// buildVerifier makes the program that tenants run.
func buildVerifier(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "bulkhead-verify")
	if text, err := exec.Command("go", "build", "-o", out, "bulkhead/cmd/bulkhead-verify").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func policyFile(t *testing.T) string {
	t.Helper()
	text, err := owner.Policy(bundletest.Tenant).Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "acme.policy")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// within holds a verification to the budget of its file, whatever came of it.
func (m took) within(t *testing.T, size int64) {
	t.Helper()
	if most := bundle.BudgetBytes(size); m.rss > most {
		t.Errorf("%d MB for a file of %d bytes, at most %d", m.rss>>20, size, most>>20)
	}
	if most := slow * stepTime * time.Duration(64<<20+8*size); m.cpu > most {
		t.Errorf("%s of CPU for a file of %d bytes, at most %s", m.cpu, size, most)
	}
	if bytes.Contains(m.output, []byte("goroutine ")) || bytes.Contains(m.output, []byte("verifier itself failed")) {
		t.Errorf("it fell: %s", m.output)
	}
	if text := string(m.output); !claim.Plain(text) {
		t.Errorf("it speaks to the terminal: %q", text)
	}
}

// TestBombs verifies every hostile bundle with the program that tenants run: rejected,
// with exit code 1, within the budget that follows from the file, and without a word to
// the terminal.
func TestBombs(t *testing.T) {
	verifier, policy := buildVerifier(t), policyFile(t)
	dir := t.TempDir()
	kept, err := filepath.Glob("testdata/hostile/*.bundle")
	if err != nil || len(kept) < 4 {
		t.Fatalf("%v, %v", kept, err)
	}
	try := func(t *testing.T, path, policy string) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		m := measure(t, verifier, "--policy", policy, path)
		t.Logf("%d bytes: exit %d, %d MB, %s: %.300s", info.Size(), m.exit, m.rss>>20, m.cpu, m.output[max(0, len(m.output)-300):])
		if m.exit != 1 {
			t.Errorf("exit code %d, expected 1", m.exit)
		}
		m.within(t, info.Size())
		if bytes.Contains(m.output, []byte("bytes, of ")) && bytes.Contains(m.output, []byte("it took ")) {
			t.Error("nothing foresaw it: the last defence stopped it")
		}
		if want := caughtAs[filepath.Base(t.Name())]; !bytes.Contains(m.output, []byte(want)) {
			t.Errorf("it does not say %q: %.2000s", want, m.output)
		}
	}
	for _, path := range kept {
		t.Run(filepath.Base(path), func(t *testing.T) { try(t, path, "testdata/hostile/acme.policy") })
	}
	t.Run("a manifest of 15 MB", func(t *testing.T) {
		path := filepath.Join(dir, "manifest.bundle")
		data := bundle.WriteForgedAs(bundletest.Small(owner).Input(), nil, func(m *bundle.Manifest) {
			for range 40_000 {
				m.Entries.Frames = append(m.Entries.Frames, m.Entries.Frames[0])
			}
		})
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		try(t, path, policy)
	})
	for _, b := range slices.Concat(bombs, lateBombs) {
		t.Run(b.name, func(t *testing.T) {
			if testing.Short() && b.name == "a gigabyte of entries" {
				t.Skip("it takes half a minute to write")
			}
			s := bundletest.Small(owner)
			b.forge(s)
			path := filepath.Join(dir, "bomb.bundle")
			if err := os.WriteFile(path, bundle.WriteForged(s.Input(), nil), 0o600); err != nil {
				t.Fatal(err)
			}
			s = nil
			try(t, path, policy)
		})
	}
}

// caughtAs is what is said of some, by the name of their test: the check that is about
// them has caught them, and not another one that came later.
var caughtAs = map[string]string{
	"the_last_index,_once_a_verdict": "nodes of isolation certificates asks for more memory",
	"f7-fence.bundle":                "it is named as fence proof here and as turnover statement by entry 32",
	"f5.bundle":                      "holds the control character U+001B",
	"b2-1.bundle":                    "a site has at most 1048576 nodes",
	"b1c.bundle":                     "zone_rules: are missing",
	"verdicts_over_many_assumptions": "claims asks for more memory",
	"verdicts_that_are_not_proven,_over_many_assumptions": "isolation certificates asks for more work",
	"1501_invoices_of_huge_amounts":                       "invoices, rated again with all that came before them asks for more work",
	"moves_that_are_proposed":                             "moves that are proposed asks for more",
	"quotes_of_many_parts":                                "quotes asks for more memory",
	"keys_of_the_tenant":                                  "keys of the tenant's asks for more work",
	"invoices_without_a_statement":                        "an invoice asks for more memory",
	"contracts_of_one_version_over_and_over":              "contracts asks for more memory",
	"an_index_of_2^32-1":                                  "a site has at most 1048576 nodes",
	"amounts_with_exponents":                              "expected an amount with 2 decimals",
	"leases_of_a_million_nodes":                           "the slots of leases asks for more memory",
	"60_MB_in_one_body":                                   "unpacks to 62914636 bytes",
	"lines_that_name_all_entries":                         "an invoice of 6177 bytes takes",
	"a_key_twice":                                         "stands twice in one object",
	"a_key_in_another_case":                               `it is spelled "lease"`,
	"a_key_in_both_cases":                                 `it is spelled "lease"`,
	"a_key_twice_in_a_statement":                          "stands twice in one object",
	"deep_JSON":                                           "nested more than",
	"a_time_zone_that_is_a_file":                          "is not a time zone",
	"a_term_of_nine_thousand_years":                       "contract:",
	"a_list_of_nothing":                                   "its body of",
	"leaves_unread_without_end":                           "times that are not proven asks for more memory",
	"labels_without_end":                                  "labels asks for more",
	"digests_that_nothing_is_behind":                      "the bodies that entries name asks for more memory",
	"a_gigabyte_of_entries":                               "to unpack the bundle asks for more work",
	"looks,_leases_and_months":                            "invoices, rated again with all that came before them asks for more work",
	"a_leaf_that_flaps_over_many_nodes":                   "leaves that can't be read asks for more work",
}

// TestHonestWithinBudget holds what must be proven to the same limits.
func TestHonestWithinBudget(t *testing.T) {
	verifier, policy := buildVerifier(t), policyFile(t)
	for name, s := range map[string]*bundletest.Story{
		"small": bundletest.Small(owner), "whole": bundletest.Whole(owner), "watched": bundletest.Watched(owner),
	} {
		data := write(t, s.Input())
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"text", "json"} {
			m := measure(t, verifier, "--policy", policy, "-o", format, path)
			t.Logf("%s: %d bytes: exit %d, %d MB, %s", name, len(data), m.exit, m.rss>>20, m.cpu)
			if m.exit != 0 {
				t.Errorf("%s: exit code %d: %s", name, m.exit, m.output)
			}
			m.within(t, int64(len(data)))
		}
	}
}

// TestLargeWithinBudget is the same of the bundle that BULKHEAD_BUNDLE names, such as the
// flagship's, or of some hundred holdings.
func TestLargeWithinBudget(t *testing.T) {
	path, policy := os.Getenv("BULKHEAD_BUNDLE"), ""
	if path == "" {
		path, policy = filepath.Join(t.TempDir(), "holdings.bundle"), policyFile(t)
		if err := os.WriteFile(path, write(t, delivered(256, true).Input()), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if policy = os.Getenv("BULKHEAD_POLICY"); policy == "" {
		policy = strings.TrimSuffix(path, ".bundle") + ".policy"
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	m := measure(t, buildVerifier(t), "--policy", policy, path)
	t.Logf("%s: %d bytes: exit %d, %d of %d MB, %s", path, info.Size(), m.exit, m.rss>>20, bundle.BudgetBytes(info.Size())>>20, m.cpu)
	if m.exit != 0 {
		t.Errorf("exit code %d: %s", m.exit, m.output[max(0, len(m.output)-2000):])
	}
	m.within(t, info.Size())
}

// TestSpokenTexts refuses text that speaks to a terminal in any field of any entry, and
// writes it out in what it says of it.
func TestSpokenTexts(t *testing.T) {
	for _, b := range spoken() {
		s := bundletest.Small(owner)
		b.forge(s)
		report, err := verify(bundle.WriteForged(s.Input(), nil), owner.Policy(bundletest.Tenant), bundle.Options{})
		if !errors.Is(err, bundle.ErrRejected) {
			t.Errorf("%s: %v", b.name, err)
			continue
		}
		var text bytes.Buffer
		if err := report.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if !claim.Plain(text.String()) || !claim.Plain(err.Error()) {
			t.Errorf("%s: the report speaks to the terminal: %q", b.name, text.String())
		}
	}
}

// TestEveryPairOfRoles names each body of a log in place of each other one: whatever a
// body is, an entry that names it as something else is a finding and no fault.
func TestEveryPairOfRoles(t *testing.T) {
	whole := bundletest.Whole(owner)
	var names []string
	for d := range whole.Bodies {
		names = append(names, d.String())
	}
	slices.Sort(names)
	kinds := map[string]string{} // one body for each kind of entry and place in it
	for i := range whole.Entries {
		for _, d := range names {
			if at := bytes.Index(whole.Entries[i].Body, []byte(d)); at >= 0 {
				key := bytes.LastIndexByte(whole.Entries[i].Body[:at-2], '"')
				kinds[whole.Entries[i].Kind+string(whole.Entries[i].Body[key:at])+stateIn(whole.Entries[i].Body)] = d
			}
		}
	}
	if len(kinds) < 8 {
		t.Fatalf("only %d kinds of names were found: %v", len(kinds), kinds)
	}
	for where, was := range kinds {
		for as, is := range kinds {
			if was == is {
				continue
			}
			s := whole.Clone()
			for i := range s.Entries {
				s.Entries[i].Body = bytes.ReplaceAll(slices.Clone(s.Entries[i].Body), []byte(was), []byte(is))
			}
			s.Reseal()
			_, err := verify(bundle.WriteForged(s.Input(), nil), owner.Policy(bundletest.Tenant), bundle.Options{})
			if fault := new(bundle.Fault); errors.As(err, &fault) {
				t.Errorf("%s named as %s: %v\n%s", where, as, fault, fault.Stack)
			} else if !errors.Is(err, bundle.ErrRejected) && where != as {
				t.Logf("%s named as %s: %v", where, as, err)
			}
		}
	}
}

// TestAFaultRejects has the verifier itself fall: that is an error which says so, of the
// first entry that it fell at, and no proof.
func TestAFaultRejects(t *testing.T) {
	fold, worker := bundle.Guarded(func() { panic("a mistake") })
	for err, at := range map[error]string{fold: "entry 3 (x/1)", worker: "entry 7 (y/1)"} {
		fault := new(bundle.Fault)
		if !errors.As(err, &fault) || errors.Is(err, bundle.ErrBudget) || !strings.HasPrefix(err.Error(), at) || len(fault.Stack) == 0 {
			t.Errorf("%v", err)
		}
	}
}

// TestManyQuotes is no bomb: a quote that lapsed takes nothing any more.
func TestManyQuotes(t *testing.T) {
	s := bundletest.Small(owner)
	raw := s.Contract.Encode()
	many(s, 20_000, contract.KindQuoted, func(i int) any {
		return contract.Quoted{Quote: fmt.Sprint("again", i), Contract: raw, Expires: s.Now.Add(hour)}
	})
	lapsed := s.Clone()
	s.Entries = s.Entries[:len(s.Entries)-20_000]
	for i, e := range lapsed.Entries[len(s.Entries):] {
		s.Entries = append(s.Entries, e, entry(s, contract.KindLapsed, contract.Lapsed{Quote: fmt.Sprint("again", i)}))
	}
	s.Reseal()
	if report, err := verify(bundle.WriteForged(s.Input(), nil), owner.Policy(bundletest.Tenant), bundle.Options{}); err != nil || !report.Proven {
		t.Errorf("%v", err)
	}
}

// stateIn is where a move goes to.
func stateIn(body []byte) string {
	_, to, _ := bytes.Cut(body, []byte(`"to":"`))
	state, _, _ := bytes.Cut(to, []byte(`"`))
	return string(state)
}

// TestWatchMemory allocates what a file of no bytes may not take.
func TestWatchMemory(t *testing.T) {
	over := make(chan error, 1)
	stop := bundle.WatchMemory(0, func(err error) { over <- err })
	defer stop()
	var held [][]byte
	for range 3 * bundle.BudgetBytes(0) >> 20 {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(i)
		}
		held = append(held, block)
	}
	if err := <-over; !errors.Is(err, bundle.ErrBudget) {
		t.Error(err)
	}
	runtime.KeepAlive(held)
}
