package linux

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"bulkhead/fabric/ethernet"
)

// This file writes route targets.

// output runs a program of others and returns what it prints. It ends with ctx.
func output(ctx context.Context, program string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			return nil, fmt.Errorf("%s is not installed", program)
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %.500s", program, strings.Join(args, " "), err, strings.TrimSpace(said.String()+out.String()))
	}
	return out.Bytes(), nil
}

// configure has bgpd run the lines that build makes, within EVPN's address family.
// Callers say all of them again later where one is refused.
func configure(ctx context.Context, conf *Config, build func(line func(format string, args ...any))) error {
	lines := []string{fmt.Sprintf("router bgp %d", ethernet.ASN), "address-family l2vpn evpn"}
	build(func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) })
	return frr(conf.PathSpace).configure(ctx, lines)
}

// writeTargets gives VNIs their route targets, and takes from them all others. FRR
// derives the same targets by itself for a VNI that nothing was said of, so to forget
// what was said is no gap; of a VNI that the leaf carries already this is done only
// where it has others, so that its routes stay. Then they are said: see ownTargets.
func writeTargets(ctx context.Context, conf *Config, vnis []uint32, carried map[uint32]bool) error {
	if len(vnis) == 0 {
		return nil
	}
	var reset, kept []uint32
	for _, vni := range vnis {
		if carried[vni] {
			kept = append(kept, vni)
		} else {
			reset = append(reset, vni)
		}
	}
	if len(kept) > 0 {
		astray, err := otherTargets(ctx, conf, kept)
		if err != nil {
			return err
		}
		reset = append(reset, astray...)
	}
	err := configure(ctx, conf, func(line func(string, ...any)) {
		// First: where somebody took it away, bgpd refuses route targets ("only supported
		// under EVPN VRF"), and announces nothing.
		line("advertise-all-vni")
		forget(line, reset)
		for _, vni := range vnis {
			line("vni %d", vni)
			line("exit-vni")
		}
	})
	if err != nil {
		return err
	}
	return sayTargets(ctx, conf, vnis)
}

// otherTargets lists the VNIs that bgpd knows with targets that are not their own.
func otherTargets(ctx context.Context, conf *Config, vnis []uint32) (astray []uint32, err error) {
	out, err := frr(conf.PathSpace).ask(ctx, "bgpd", bgpShows[0])
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	// Lenient JSON: FRR's answers grow with its releases.
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("bgpd's VNIs: %w", err)
	}
	for _, vni := range vnis {
		var of struct{ ImportRTs, ExportRTs []string }
		raw, known := all[fmt.Sprint(vni)]
		if !known {
			continue
		}
		// Lenient JSON: the same.
		if err := json.Unmarshal(raw, &of); err != nil {
			return nil, fmt.Errorf("bgpd's VNI %d: %w", vni, err)
		}
		own := []string{ethernet.TargetOf(vni).String()}
		if !slices.Equal(of.ImportRTs, own) || !slices.Equal(of.ExportRTs, own) {
			astray = append(astray, vni)
		}
	}
	return astray, nil
}

// dropTargets forgets what was said of VNIs.
func dropTargets(ctx context.Context, conf *Config, vnis []uint32) error {
	if len(vnis) == 0 {
		return nil
	}
	return configure(ctx, conf, func(line func(string, ...any)) { forget(line, vnis) })
}

// forget says the lines for it. bgpd refuses to forget what it never heard of, so each
// is mentioned first.
func forget(line func(string, ...any), vnis []uint32) {
	for _, vni := range vnis {
		line("vni %d", vni)
		line("exit-vni")
		line("no vni %d", vni)
	}
}
