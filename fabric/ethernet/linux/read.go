package linux

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/agent"
)

// lookers are the programs that say what the leaf holds: by name, the call.
var lookers = map[string][]string{
	"links":   {"ip", "-j", "-d", "addr", "show"},
	"entries": {"bridge", "-j", "fdb", "show"},
	"queues":  {"tc", "-j", "qdisc", "show"},
	"rules":   {"nft", "-j", "list", "ruleset"},
	"chains":  {"nft", "list", "chains"},
}

// Read asks the leaf's programs what it holds. That one can't be asked, or is not
// understood, is an error: a leaf is read whole or not at all.
func (a *Agent) Read(ctx context.Context) (ethernet.Capture, error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	said := map[string][]byte{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	var errs []error
	ask := func(name string, f func() ([]byte, error)) {
		wait.Go(func() {
			out, err := f()
			mu.Lock()
			defer mu.Unlock()
			said[name] = out
			errs = append(errs, err)
		})
	}
	for name, call := range lookers {
		ask(name, func() ([]byte, error) { return output(ctx, call[0], call[1:]...) })
	}
	ask("bgp", func() ([]byte, error) { return a.askBGP(ctx) })
	ask("running", func() ([]byte, error) { return frr(a.conf.PathSpace).ask(ctx, "bgpd", runningShow) })
	ask("lldp", func() ([]byte, error) { return a.askLLDP(ctx) })
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return ethernet.Capture{}, err
	}
	s := &shown{}
	s.queues, _ = os.ReadFile(filepath.Join(a.conf.State, queuesFile)) // none: nobody set the queues up
	for _, decode := range []func() error{
		func() (err error) { s.links, err = decodeLinks(said["links"]); return err },
		func() (err error) { s.entries, err = decodeEntries(said["entries"]); return err },
		func() (err error) { s.steer, err = decodeQueues(said["queues"]); return err },
		func() (err error) { s.rules, err = decodeRules(said["rules"], said["chains"]); return err },
		func() (err error) { s.bgp, err = decodeBGP(said["bgp"]); return err },
		func() (err error) { s.lldp, err = decodeLLDP(said["lldp"]); return err },
		func() error { s.running = decodeRunning(said["running"]); return nil },
	} {
		if err := decode(); err != nil {
			return ethernet.Capture{}, err
		}
	}
	return assemble(a.conf, s)
}

// askBGP asks bgpd, and zebra for the last.
func (a *Agent) askBGP(ctx context.Context) ([]byte, error) {
	last := len(bgpShows) - 1
	said, err := frr(a.conf.PathSpace).ask(ctx, "bgpd", bgpShows[:last]...)
	if err != nil {
		return nil, err
	}
	zebra, err := frr(a.conf.PathSpace).ask(ctx, "zebra", bgpShows[last])
	return append(said, zebra...), err
}

// askLLDP asks lldpd; where none is configured, nobody is heard.
func (a *Agent) askLLDP(ctx context.Context) ([]byte, error) {
	if a.conf.LLDP == "" {
		return []byte("{}"), nil
	}
	return output(ctx, "lldpctl", "-u", a.conf.LLDP, "-f", "json0")
}

// digest is of what was heard; fmt prints maps in the order of their keys.
func digest(b *shownBGP, r running, neighbours map[string]shownNeighbour, queues []byte) agent.Digest {
	return sha256.Sum256(fmt.Appendf(nil, "%v %q %v %q", *b, r, neighbours, queues))
}

// unnoticed is what bgpd, lldpd and the file of queues say, of which they give no notice.
func (a *Agent) unnoticed(ctx context.Context) (none agent.Digest, err error) {
	bgp, err := a.askBGP(ctx)
	if err != nil {
		return none, err
	}
	b, err := decodeBGP(bgp)
	if err != nil {
		return none, err
	}
	r, err := runningOf(ctx, frr(a.conf.PathSpace))
	if err != nil {
		return none, err
	}
	lldp, err := a.askLLDP(ctx)
	if err != nil {
		return none, err
	}
	neighbours, err := decodeLLDP(lldp)
	if err != nil {
		return none, err
	}
	queues, _ := os.ReadFile(filepath.Join(a.conf.State, queuesFile))
	return digest(b, r, neighbours, queues), nil
}
