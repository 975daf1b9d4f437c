package ethnet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"bulkhead/examples"
	"bulkhead/site"
)

// Spec is which lab is to be up.
type Spec struct {
	Name string
	Site string // path of a site file; "": the example rivals-eth
	Only []string
}

// Lab is a lab that is up, and how it is reached.
type Lab struct {
	Name    string   `json:"name"`
	State   string   `json:"state"` // up, coming up, killed
	Process int      `json:"process,omitempty"`
	Folder  string   `json:"folder"`
	Site    string   `json:"site,omitempty"`    // site file
	Drivers string   `json:"drivers,omitempty"` // for bulkhead drivers run
	Fabrics []string `json:"fabrics,omitempty"`
	Leaves  int      `json:"leaves,omitempty"`
	Spines  int      `json:"spines,omitempty"`
	Hosts   []string `json:"hosts,omitempty"` // namespaces: nsenter --net=FOLDER/HOST/net
}

// Agents prepare the agents of a lab's devices, with the path of their configuration.
type Agents struct{ Leaf, Reflector, Gateway func(config string) *exec.Cmd }

const (
	ownerFile = "owner.pid"
	labFile   = "lab.json"
)

func folder(name string) string { return filepath.Join(Base, name) }

// message is a line from the process that keeps a lab to the one that started it.
type message struct {
	Say   string `json:"say,omitempty"`
	Up    *Lab   `json:"up,omitempty"`
	Error string `json:"error,omitempty"`
}

// Keep brings a lab up and keeps it until ctx ends. What it says goes to out, a line of
// JSON a message. From in it must hear that somebody has taken the lab over once it is
// up: who started it may have been killed meanwhile, and then nobody knows of it.
func Keep(ctx context.Context, s Spec, in io.Reader, out io.Writer, agents Agents) (err error) {
	signal.Ignore(syscall.SIGPIPE) // who reads what this says may be gone
	tell := json.NewEncoder(out)
	defer func() {
		if err != nil {
			_ = tell.Encode(message{Error: err.Error()}) // nobody may be there
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	taken := make(chan struct{})
	go func() {
		if line, err := bufio.NewReader(in).ReadString('\n'); err != nil || line != "taken\n" {
			cancel(errors.New("who started this lab has ended before it was up"))
			return
		}
		close(taken)
	}()
	text, template, err := s.read()
	if err != nil {
		return err
	}
	var units []*site.SUInventory
	if _, err := template.Compile(func(u *site.SUInventory) error { units = append(units, u); return nil }); err != nil {
		return err
	}
	all, built, err := s.fabrics(template)
	if err != nil {
		return err
	}
	n, err := Start(ctx, units, Options{ID: s.Name, Fabrics: all, Only: built, LLDP: true, Agent: agents.Leaf, Reflector: agents.Reflector, Gateway: agents.Gateway,
		Say: func(line string) { _ = tell.Encode(message{Say: line}) }})
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	l := &Lab{Name: s.Name, State: "up", Process: os.Getpid(), Folder: n.Dir, Site: filepath.Join(n.Dir, "site.yaml"),
		Drivers: filepath.Join(n.Dir, "drivers.yaml"), Fabrics: built, Leaves: len(n.Plan.Leaves("")), Spines: len(n.Plan.Spines(""))}
	for _, h := range n.Plan.Hosts {
		l.Hosts = append(l.Hosts, h.Name)
	}
	if template.Header().Management == "" { // the lab has one, whose gateway a driver reads
		text = append(text, "\n# Each node's BMC is behind the lab's gateway.\nmanagement: bmc\n"...)
	}
	if err := furnish(n, l, text); err != nil {
		return err
	}
	if err := tell.Encode(message{Up: l}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-taken:
	}
	<-ctx.Done()
	return nil
}

// read reads the site file.
func (s *Spec) read() (text []byte, t *site.Template, err error) {
	path := s.Site
	if path == "" {
		path = "rivals-eth/site.yaml"
		text, err = examples.Files.ReadFile(path)
	} else {
		text, err = os.ReadFile(path)
	}
	if err == nil {
		t, err = site.ParseTemplate(path, text)
	}
	return text, t, err
}

// fabrics lists all fabrics of the site, and those that are built: Ethernet's.
func (s *Spec) fabrics(t *site.Template) (all, built []string, err error) {
	wanted := map[string]bool{}
	for _, id := range s.Only {
		wanted[id] = true
	}
	for _, f := range t.Header().Fabrics {
		all = append(all, f.ID)
		if f.Family == site.RoCE && (len(s.Only) == 0 || wanted[f.ID]) {
			built = append(built, f.ID)
			delete(wanted, f.ID)
		}
	}
	for id := range wanted {
		return nil, nil, fmt.Errorf("the site has no Ethernet fabric %q", id)
	}
	if len(built) == 0 {
		return nil, nil, errors.New("the site has no Ethernet fabric")
	}
	return all, built, nil
}

// furnish puts into a lab's folder what others need to work on it.
func furnish(n *Net, l *Lab, siteText []byte) error {
	leaves := filepath.Join(n.Dir, "leaves")
	if err := n.Forward(leaves); err != nil {
		return err
	}
	text := fmt.Sprintf("# Drivers of the lab %s, for bulkhead drivers run.\nsocket: drivers.sock\nsite: [site.yaml]\nfabrics:\n", l.Name)
	manage, managers, tenants, legs := n.ManagementPlan()
	var list string
	for _, h := range n.Plan.Hosts {
		list += fmt.Sprintf("%s %s %s\n", h.Name, legs[h.Name].Interface, legs[h.Name].Address)
	}
	if err := os.WriteFile(filepath.Join(n.Dir, "legs"), []byte(list), 0o644); err != nil {
		return err
	}
	for i, id := range l.Fabrics {
		port, err := freePort()
		if err != nil {
			return err
		}
		at, err := n.HandReflectors(id, port)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("  - id: %s\n    evpn:\n      agents: leaves\n      reflector-agents: leaves\n      listen: [127.0.0.1]\n      port: %d\n      at: [", id, port)
		for i, a := range at {
			if i > 0 {
				text += ", "
			}
			text += a.String()
		}
		text += "]\n      emulated: true\n"
		if i > 0 {
			continue // one of them looks after the BMCs of all nodes
		}
		text += fmt.Sprintf("    management:\n      gateway: gateway/agent.sock\n      managers: [%s, %s]\n      manage: %s\n      tenants: [%s]\n      legs: legs\n",
			managers[0], managers[1], manage, tenants[0])
	}
	if err := os.WriteFile(l.Drivers, []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(l.Site, siteText, 0o644); err != nil {
		return err
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(n.Dir, ownerFile), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.Dir, labFile), data, 0o644)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
