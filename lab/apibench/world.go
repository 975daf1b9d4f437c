package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"bulkhead/examples"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/wire"
)

// patience is how long anything that must happen may take.
const patience = 5 * time.Minute

// setting is what all scenarios share: a folder with a site and leases, and the
// simulator.
type setting struct {
	config
	dir    string
	sim    *process
	tokens []string
	leases []string
	nodes  []string
	site   *site.Site
	fabric int // that whose driver is stopped
}

// process is one that was started here, and ends here.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *tail
}

// tail keeps the last of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - 64<<10; over > 0 {
		t.b = t.b[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

func start(dir, binary string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), out: &tail{}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also where this program is killed
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

// end ends a process, also one that was stopped.
func (p *process) end() error {
	if p == nil {
		return nil
	}
	_ = p.in.Close()
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-ended
		return fmt.Errorf("%s did not end by itself and was killed", strings.Join(p.cmd.Args[:2], " "))
	}
}

// until waits until ready says so.
func (p *process) until(ctx context.Context, what string, ready func() bool) error {
	for deadline := time.Now().Add(patience); ; {
		if ready() {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil || p.cmd.ProcessState != nil || syscall.Kill(p.cmd.Process.Pid, 0) != nil {
			return fmt.Errorf("%s: %s never came; it said: %s", strings.Join(p.cmd.Args[:2], " "), what, p.out)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// prepare makes the data folder. The site is imported and leased before any device
// is connected: what is measured is no import.
func prepare(ctx context.Context, c config) (_ *setting, err error) {
	s := &setting{config: c}
	if s.Binary, err = filepath.Abs(c.Binary); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "apibench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	example := map[string]string{"full": "colossus", "small": "small", "tiny": "tiny"}[c.Size]
	text, err := examples.Files.ReadFile(example + "/site.yaml")
	if err != nil {
		return nil, fmt.Errorf("-size %s: %w", c.Size, err)
	}
	text = regexp.MustCompile(`(?m)^  poll: .*$`).ReplaceAll(text, []byte("  poll: 1s"))
	template, err := site.ParseTemplate("site.yaml", text)
	if err != nil {
		return nil, err
	}
	if s.site, err = template.Build(); err != nil {
		return nil, err
	}
	s.fabric = -1
	for i := range s.site.Fabrics {
		if s.site.Fabrics[i].ID == c.Fabric {
			s.fabric = i
		}
	}
	if s.fabric < 0 {
		return nil, fmt.Errorf("-fabric %s: the site has none such", c.Fabric)
	}
	for n := 0; n < s.site.Nodes() && len(s.nodes) < 100; n += max(s.site.Nodes()/100, 1) {
		s.nodes = append(s.nodes, s.site.NodeID[n])
	}
	if s.sim, err = start(s.dir, s.Binary, "sim", "--size", c.Size, "--socket", filepath.Join(s.dir, "sim.sock"), "--realtime"); err != nil {
		return nil, err
	}
	server, address, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	err = s.fill(ctx, address, text)
	if err = errors.Join(err, server.end()); err != nil {
		return nil, err
	}
	return s, s.sim.until(ctx, "its socket", func() bool {
		client, err := wire.Dial(filepath.Join(s.dir, "sim.sock"))
		if err == nil {
			client.Close()
		}
		return err == nil
	})
}

// tranches is how many leases there are.
const tranches = 6

// fill imports the site and signs leases over it.
func (s *setting) fill(ctx context.Context, address string, template []byte) error {
	bulkhead := func(role string, args ...string) error {
		c := exec.CommandContext(ctx, s.Binary, args...)
		c.Dir, c.Env = s.dir, append(os.Environ(), "BULKHEAD_SERVER="+address, "BULKHEAD_TOKEN_FILE="+role+".token")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("bulkhead %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	kind := ""
	for n := range s.site.Nodes() {
		if s.site.ComputeFabric(site.Index(n)) == s.fabric {
			kind = s.site.KindOf(site.Index(n))
			break
		}
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	day := func(years int) string { return today.AddDate(years, 0, 1).Format(time.DateOnly) }
	var k strings.Builder
	fmt.Fprintf(&k, "id: bench\nversion: 1\ntitle: For a benchmark\nfictional: true\ntenant: bench\nproject: bench\ncurrency: USD\ntime_zone: UTC\nbegin: %s\nend: %s\nnotice_days: 30\ntranches:\n", day(0), day(1))
	var names []string
	for n := range tranches {
		name := fmt.Sprintf("t%d", n+1)
		names = append(names, name)
		s.leases = append(s.leases, "bench/"+name)
		fmt.Fprintf(&k, "  - {id: %s, kind: %s, fabric: %s, gpus: 16, delivery: %s, grace_days: 7, late_discount: 25%%, links: shared, clause: \"2.1\"}\n", name, kind, s.Fabric, day(0))
	}
	fmt.Fprintf(&k, "rates:\n  - {tranches: [%s], from: %s, basis: gpu-hour, price: 3.95, clause: \"3.1\"}\nsla:\n  - metric: node-availability\n    tiers:\n      - {below: 100%%, credit: 100%%}\n    clause: \"5.1\"\nunknown:\n  grace: 15m\n  then: down-owner\n", strings.Join(names, ", "), day(0))
	err := errors.Join(os.WriteFile(filepath.Join(s.dir, "site.yaml"), template, 0o600), os.WriteFile(filepath.Join(s.dir, "contract.yaml"), []byte(k.String()), 0o600))
	if err != nil {
		return err
	}
	operator := filepath.Join("data", "operator")
	for _, step := range [][]string{
		{operator, "site", "import", "site.yaml"},
		{operator, "tenant", "register", "bench", "--name", "Bench"},
		{operator, "token", "create", "--data", "data", "--subject", "bench", "--role", "administrator", "--tenant", "bench", "--out", "bench.token"},
		{operator, "quote", "contract.yaml"},
		{"bench", "lease", "sign", "bench-v1", "--yes"},
	} {
		if err := bulkhead(step[0], step[1:]...); err != nil {
			return err
		}
	}
	for n := range 16 {
		name := fmt.Sprintf("operator%d", n)
		if err := bulkhead(operator, "token", "create", "--data", "data", "--subject", name, "--role", "operator", "--out", name+".token"); err != nil {
			return err
		}
		token, err := os.ReadFile(filepath.Join(s.dir, name+".token"))
		if err != nil {
			return err
		}
		s.tokens = append(s.tokens, strings.TrimSpace(string(token)))
	}
	return nil
}

// serve starts a server with devices.
func (s *setting) serve(ctx context.Context, devices ...string) (*process, string, error) {
	args := []string{"serve", "--data", "data", "--listen", "127.0.0.1:0"}
	for _, d := range devices {
		args = append(args, "--devices", "unix:"+d)
	}
	// A release that takes a simulator's clock only when told to is told to.
	help, err := exec.CommandContext(ctx, s.Binary, "serve", "--help").Output()
	if err != nil {
		return nil, "", err
	}
	if len(devices) > 0 && bytes.Contains(help, []byte("--simulated")) {
		args = append(args, "--simulated")
	}
	p, err := start(s.dir, s.Binary, args...)
	if err != nil {
		return nil, "", err
	}
	var address string
	err = p.until(ctx, "its address", func() bool {
		for line := range strings.Lines(p.out.String()) {
			var said struct{ Msg, Address string }
			// Lenient JSON: of a log line, the words that are waited for.
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
				address = said.Address
			}
		}
		return address != ""
	})
	if err != nil {
		return nil, "", errors.Join(err, p.end())
	}
	return p, address, nil
}

// end ends what is left.
func (s *setting) end() error { return errors.Join(s.sim.end(), os.RemoveAll(s.dir)) }

// scenario is one way of a driver to be slow.
type scenario struct {
	key, name string
	mode      string // of the driver
	stops     bool   // by SIGSTOP
	drifts    bool   // so that there is something to apply
}

var scenarios = []scenario{
	{key: "none", name: "no driver stopped", mode: passes, drifts: true},
	{key: "stopped", name: "stopped before it answers", mode: passes, stops: true, drifts: true},
	{key: "apply", name: "in the middle of Apply", mode: applies, drifts: true},
	{key: "half", name: "after half an answer", mode: half, drifts: true},
	{key: "drip", name: "a byte a second", mode: drips, drifts: true},
}

// measure runs one scenario.
func (s *setting) measure(ctx context.Context, sc scenario) (o outcome, err error) {
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	simulator := filepath.Join(s.dir, "sim.sock")
	one, rest := filepath.Join(s.dir, sc.key+"1.sock"), filepath.Join(s.dir, sc.key+"2.sock")
	var running []*process
	defer func() {
		for i := range running { // the server first
			if endErr := running[len(running)-1-i].end(); endErr != nil {
				fmt.Fprintln(os.Stderr, "apibench:", sc.name+":", endErr)
			}
		}
	}()
	for _, driven := range [][2]string{{one, "-fabric"}, {rest, "-without"}} {
		socket := driven[0]
		p, err := start(s.dir, self, "driver", "-socket", socket, "-devices", simulator, driven[1], s.Fabric)
		if err != nil {
			return o, err
		}
		running = append(running, p)
		if err := p.until(ctx, "its socket", func() bool {
			c, err := net.Dial("unix", socket)
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		}); err != nil {
			return o, err
		}
	}
	slowed := running[0]
	server, address, err := s.serve(ctx, rest, one)
	if err != nil {
		return o, err
	}
	running = append(running, server)
	a := newAsker(address, s.tokens)
	a.leases, a.nodes = s.leases, s.nodes
	looked := func() float64 { return a.metric(ctx, s.tokens[0], "bulkhead_last_look_timestamp_seconds") }
	if err := server.until(ctx, "its first look", func() bool { return looked() > 0 }); err != nil {
		return o, err
	}
	select {
	case <-ctx.Done():
		return o, ctx.Err()
	case <-time.After(s.Settle):
	}
	if sc.stops {
		err = slowed.cmd.Process.Signal(syscall.SIGSTOP)
	} else {
		_, err = io.WriteString(slowed.in, sc.mode+"\n")
	}
	if err != nil {
		return o, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.Measure+3*answerWithin)
	defer cancel()
	reads, commands := newLoad(s.Reads, a.read), newLoad(s.Commands, a.command)
	var all sync.WaitGroup
	all.Go(func() { reads.run(bounded, s.Measure) })
	all.Go(func() { commands.run(bounded, s.Measure) })
	loads := make(chan struct{})
	go func() { all.Wait(); close(loads) }()
	last := looked()
	for measured := false; !measured; {
		select {
		case <-loads:
			measured = true
		case <-time.After(time.Second):
			s.drift(bounded, simulator, sc)
			if now := looked(); now > last {
				o.Looks++
				last = now
			}
		}
	}
	for why, n := range reads.why {
		fmt.Fprintf(os.Stderr, "%s: %d reads failed: %s\n", sc.name, n, why)
	}
	for why, n := range commands.why {
		fmt.Fprintf(os.Stderr, "%s: %d commands failed: %s\n", sc.name, n, why)
	}
	o.Scenario, o.Reads, o.Commands = sc.name, reads.figures(), commands.figures()
	return o, ctx.Err()
}

// drift changes a port of the slowed fabric behind everybody's back, so that there
// is something to apply.
func (s *setting) drift(ctx context.Context, simulator string, sc scenario) {
	if !sc.drifts {
		return
	}
	client, err := wire.Dial(simulator)
	if err != nil {
		return
	}
	defer client.Close()
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	n := int(time.Now().UnixNano()/1000) % s.site.Nodes()
	for range s.site.Nodes() {
		for _, nic := range s.site.NICsOf(site.Index(n)) {
			if s.site.FabricOf(site.PortOf(site.Index(n), nic)) == s.fabric {
				fault := sim.Fault{Kind: sim.Unenforced, Node: site.Index(n), NIC: nic}
				if err := client.Sim.Inject(bounded, time.Time{}, fault.JSON()); err != nil {
					fmt.Fprintln(os.Stderr, "apibench: drift:", err)
				}
				return
			}
		}
		n = (n + 1) % s.site.Nodes()
	}
}

// metric reads one number of /metrics; 0: it did not answer within a second.
func (a *asker) metric(ctx context.Context, token, name string) float64 {
	bounded, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(bounded, http.MethodGet, a.server+"/metrics", nil)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := a.plain.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(page) {
		if value, found := strings.CutPrefix(string(line), name+" "); found {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64) // what is no number is not there
			return n
		}
	}
	return 0
}
