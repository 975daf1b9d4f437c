// Command dated writes into the documents what the labs did last. That is the date, the
// release, the versions of the peers, how many runs, and in the row of each attack what
// was measured. It reads what `go test -json` said, after the gate has passed it: see
// `make labs`. A document of which some attack was not mounted is left as it was, and that
// is an error.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// documents are the tables, with the Debian packages of the peers that they are about.
var documents = []struct {
	path  string
	pkg   string // whose tests mount the attacks
	peers []string
}{
	{"docs/attacks-ethernet.md", "bulkhead/lab/ethlab", []string{"frr", "nftables", "iproute2", "lldpd"}},
	{"docs/attacks-infiniband.md", "bulkhead/lab/iblab", []string{"opensm", "infiniband-diags", "z3"}},
}

func main() {
	release := flag.String("release", "", "what was run, as git describe says it")
	flag.Parse()
	if flag.NArg() != 1 || *release == "" {
		fmt.Fprintln(os.Stderr, "usage: dated -release RELEASE FILE, where FILE is what go test -json said")
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *release, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "dated:", err)
		os.Exit(1)
	}
}

func write(events, release string, now time.Time) error {
	file, err := os.Open(events)
	if err != nil {
		return err
	}
	defer file.Close()
	measured, err := read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", events, err)
	}
	for _, d := range documents {
		text, err := os.ReadFile(d.path)
		if err != nil {
			return err
		}
		peers, err := versions(d.peers)
		if err != nil {
			return err
		}
		out, err := dated(string(text), measured[d.pkg], run{now.UTC().Format(time.DateOnly), release, peers})
		if err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
		if err := os.WriteFile(d.path, []byte(out), 0o644); err != nil {
			return err
		}
		fmt.Println("dated", d.path)
	}
	return nil
}

// versions asks Debian which versions of packages are installed, and the kernel which it is.
func versions(packages []string) (string, error) {
	out, err := exec.Command("dpkg-query", append([]string{"-W", "-f", "${Package} ${Version}\n"}, packages...)...).Output()
	if err != nil {
		return "", fmt.Errorf("which versions of %v are installed: %w", packages, err)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-") // what follows is who built it
	return strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", ", ") + ", Linux " + version, nil
}
