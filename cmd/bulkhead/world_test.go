package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/api"
	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/lab/await"
	"bulkhead/run/datadir"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/wire"
)

var update = flag.Bool("update", false, "write the transcripts anew, after a deliberate change")

// worldCommands are what scripts do with a simulated site whose clock stands
// still until they advance it, so that the times they show are always the same.
var worldCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"world": makeWorld, "inert": inert, "freeze": freeze, "thaw": thaw, "ready": ready, "metric": metric, "advance": advance, "until": until, "shown": shown, "dark": dark, "policy": makePolicy, "revoke": revoke, "edited": edited, "digest": digestOfPage, "tlsdevices": tlsDevices,
}

// makeWorld starts simulated devices and a server in the folder data, as an
// operator of whom a script asks: the tiny site is imported and acme has leased
// two nodes (first/t1). With "delivered" they are handed over.
func makeWorld(ts *testscript.TestScript, neg bool, args []string) {
	start(ts, false, []string{"sim", "devices.sock", "sim", "--size", "tiny", "--socket", "devices.sock", "--state", "devices.state"})
	start(ts, false, []string{"server", `"address":"(http://[^"]+)"`, "serve", "--data", "data", "--simulated", "--devices", "unix:devices.sock", "--listen", "127.0.0.1:0"})
	ts.Setenv("BULKHEAD_SERVER", ts.Getenv("server"))
	ts.Setenv("BULKHEAD_TOKEN_FILE", "data/operator.token")
	for _, line := range []string{
		"tenant register acme --name Acme",
		"site import " + filepath.Join(ts.Getenv("EXAMPLES"), "tiny", "site.yaml"),
		"quote first.yaml",
		"token create --data data --subject officer --role administrator --tenant acme --out officer.token",
		"lease sign first-v1 --yes --token-file officer.token --request-id sign",
	} {
		ts.Check(ts.Exec("bulkhead", strings.Fields(line)...))
	}
	if len(args) == 1 && args[0] == "delivered" {
		until(ts, false, []string{"6h", "2 delivered, 2 up", "lease", "show", "first/t1"})
	}
}

// advance lets time pass at the site, in steps: advance STEP [TIMES].
func advance(ts *testscript.TestScript, neg bool, args []string) {
	step, err := time.ParseDuration(args[0])
	ts.Check(err)
	times := 1
	if len(args) > 1 {
		times, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	client := devicesOf(ts)
	defer client.Close()
	for range times {
		now, err := client.Sim.Now(context.Background())
		ts.Check(err)
		ts.Check(client.Sim.Advance(context.Background(), now.Add(step)))
		lookedAt(ts, now.Add(step))
	}
}

// devicesOf speaks to a script's simulated devices. A socket is there a moment before
// anybody listens on it.
func devicesOf(ts *testscript.TestScript) *wire.Client { return dialed(ts, "devices.sock") }

func dialed(ts *testscript.TestScript, socket string) (client *wire.Client) {
	ts.Check(await.Until(context.Background(), "who listens on "+socket, func() (string, bool) {
		var err error
		client, err = wire.Dial(ts.MkAbs(socket))
		return fmt.Sprint(err), err == nil
	}))
	return client
}

var lastLook = regexp.MustCompile(`(?m)^bulkhead_last_look_timestamp_seconds (\S+)$`)

// lookedAt waits until the server has looked at the devices at a time or after.
func lookedAt(ts *testscript.TestScript, at time.Time) {
	token := "data/operator.token"
	if of := ts.Getenv("MONITOR_TOKEN"); of != "" {
		token = of
	}
	monitor, err := (&client{Server: ts.Getenv("BULKHEAD_SERVER"), TokenFile: ts.MkAbs(token)}).http()
	ts.Check(err)
	ts.Check(await.True(context.Background(), fmt.Sprintf("a look at the site of %s", at), func() bool {
		answer, err := monitor.Get(ts.Getenv("BULKHEAD_SERVER") + "/metrics")
		ts.Check(err)
		page, err := io.ReadAll(answer.Body)
		ts.Check(errors.Join(err, answer.Body.Close()))
		m := lastLook.FindSubmatch(page)
		if m == nil {
			return false
		}
		seconds, err := strconv.ParseFloat(string(m[1]), 64)
		ts.Check(err)
		return int64(seconds) >= at.Unix()
	}))
}

// dark makes every leaf of the site silent.
func dark(ts *testscript.TestScript, neg bool, args []string) {
	client := devicesOf(ts)
	defer client.Close()
	now, err := client.Sim.Now(context.Background())
	ts.Check(err)
	for leaf := range leavesOfTiny {
		ts.Check(client.Sim.Inject(context.Background(), now.Add(time.Second), sim.Fault{Kind: sim.LeafDown, Leaf: site.Leaf(leaf)}.JSON()))
	}
}

// leavesOfTiny is how many leaves the tiny site has.
const leavesOfTiny = 72

// edited writes the tiny site's file with changes, and without its totals:
// edited FILE OLD NEW...
func edited(ts *testscript.TestScript, neg bool, args []string) {
	data, err := os.ReadFile(filepath.Join(ts.Getenv("EXAMPLES"), "tiny", "site.yaml"))
	ts.Check(err)
	text := strings.Replace(string(data), "totals:", "#", 1)
	for i := 1; i+1 < len(args); i += 2 {
		if !strings.Contains(text, args[i]) {
			ts.Fatalf("%q is not in the example", args[i])
		}
		text = strings.Replace(text, args[i], strings.ReplaceAll(args[i+1], `\n`, "\n"), 1)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// makePolicy makes a tenant's policy that accepts simulated devices, as
// bulkhead-verify policy init does: policy TRUST TENANT FILE.
func makePolicy(ts *testscript.TestScript, neg bool, args []string) {
	trust, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	policy, err := bundletest.Accepting(trust, args[1])
	ts.Check(err)
	weakest := claim.SimulatedGrade
	policy.Minimum = bundle.Minimum{Turnover: weakest, Sever: weakest, Storage: weakest, Isolation: weakest}
	encoded, err := policy.Encode()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), encoded, 0o600))
}

// revoke ends the token of a subject, by the id under which it is listed.
func revoke(ts *testscript.TestScript, neg bool, args []string) {
	tokens, err := api.OpenTokens(datadir.Dir(ts.MkAbs("data")).Tokens())
	ts.Check(err)
	list, err := tokens.List()
	ts.Check(err)
	for _, token := range list {
		if token.Subject == args[0] {
			ts.Check(ts.Exec("bulkhead", "token", "revoke", "--data", "data", token.ID, "-o", "json"))
			return
		}
	}
	ts.Fatalf("there is no token of %s", args[0])
}

// until lets time pass until bulkhead says something: until STEP REGEXP ARGS...
func until(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile(args[1])
	path, err := exec.LookPath("bulkhead")
	ts.Check(err)
	ts.Check(await.Until(context.Background(), fmt.Sprintf("%v to say %s", args[2:], args[1]), func() (string, bool) {
		c := exec.Command(path, args[2:]...)
		c.Dir = ts.Getenv("WORK")
		c.Env = append(os.Environ(), "BULKHEAD_SERVER="+ts.Getenv("BULKHEAD_SERVER"), "BULKHEAD_TOKEN_FILE="+ts.Getenv("BULKHEAD_TOKEN_FILE"))
		said, err := c.CombinedOutput()
		if err == nil && want.Match(said) {
			return "", true
		}
		advance(ts, false, args[:1])
		return fmt.Sprintf("(%v) %s", err, said), false
	}))
}

// digestOfPage keeps the digest of a quote's page as DIGEST: digest QUOTE [FLAGS].
func digestOfPage(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("bulkhead", append([]string{"quote", "show"}, args...)...))
	found := regexp.MustCompile(`page digest +(sha256:[0-9a-f]{64})`).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("no page digest in %s", ts.ReadFile("stdout"))
	}
	ts.Setenv("DIGEST", found[1])
}

// vary is what differs from run to run in what a verb prints, and its stand-in.
var vary = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:DIGEST"},
	{regexp.MustCompile(`ledger entry \d+`), "ledger entry N"},
	{regexp.MustCompile(`ledger entries up to \d+`), "ledger entries up to N"},
	{regexp.MustCompile(`\d+ bytes|"bytes": \d+`), "N bytes"},
	{regexp.MustCompile(`\$WORK|/[^ ]*/script-[a-z]+`), "DIR"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(` +\n`), "\n"},
}

// shown writes what the last command printed to the file shown, for cmp.
func shown(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, v := range vary {
		text = v.what.ReplaceAllString(text, v.name)
	}
	ts.Check(os.WriteFile(ts.MkAbs("shown"), []byte(text), 0o600))
}
