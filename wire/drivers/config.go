package drivers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/custody/pki"
	"bulkhead/fabric"
	"bulkhead/site"
	"bulkhead/wire"
)

// Config is the configuration of a process that drives fabrics: docs/drivers.md.
// Paths in it that do not begin with / are beside the file.
type Config struct {
	Socket  string         `yaml:"socket"` // or TLS, for a control plane on another machine
	TLS     *tlsConfig     `yaml:"tls"`
	Site    []string       `yaml:"site"` // site files as they were imported, in that order
	Fabrics []fabricConfig `yaml:"fabrics"`

	path string
}

// fabricConfig is one fabric: its id, and the section of just one kind of driver.
// A new kind is a field here and a line in sections.
type fabricConfig struct {
	ID     string        `yaml:"id"`
	OpenSM *openSMConfig `yaml:"opensm"`
	EVPN   *evpnConfig   `yaml:"evpn"`

	Management *managementConfig `yaml:"management"` // of the fabric's nodes; with any kind
}

// section is a kind of driver that a fabric is configured with.
type section struct {
	kind string
	used bool
	// check refuses what makes no sense, without touching anything outside.
	check func() error
	// open makes the driver. Its close is called when nobody calls the driver any more.
	open func(ctx context.Context, in inventory, fabric int, log *slog.Logger) (d fabric.Driver, close func() error, err error)
	// prepare writes the first files of the manager, if they are not there, and says
	// what it did. nil: there is nothing to write.
	prepare func(ctx context.Context) ([]string, error)
}

func (c *fabricConfig) sections(at func(string) string) []section {
	sm := &openSM{c: c.OpenSM, at: at}
	ev := &evpnSection{c: c.EVPN, at: at}
	return []section{
		{"opensm", c.OpenSM != nil, sm.check, sm.open, sm.prepare},
		{"evpn", c.EVPN != nil, ev.check, ev.open, nil},
	}
}

// section returns the kind that a fabric is configured with.
func (f *Config) section(i int) (section, error) {
	var found []section
	var kinds string
	for _, s := range f.Fabrics[i].sections(f.at) {
		if kinds += ", " + s.kind; s.used {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return section{}, fmt.Errorf("fabrics[%d]: %d drivers are configured for %q: expected one of %s", i, len(found), f.Fabrics[i].ID, kinds[2:])
	}
	if m := f.Fabrics[i].Management; m != nil {
		if err := m.check(); err != nil {
			return section{}, fmt.Errorf("fabrics[%d].%w", i, err)
		}
	}
	if err := found[0].check(); err != nil {
		return section{}, fmt.Errorf("fabrics[%d].%s: %w", i, found[0].kind, err)
	}
	return found[0], nil
}

// at is a path beside the file.
func (f *Config) at(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}

// tlsConfig is where a control plane on another machine finds the drivers, and who both are.
type tlsConfig struct {
	Listen      string `yaml:"listen"` // HOST:PORT
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Authorities string `yaml:"authorities"` // that vouch for control planes
}

// Listen opens the socket, or the port, on which the drivers are to be served.
func (f *Config) Listen() (net.Listener, error) {
	if f.TLS == nil {
		return wire.Listen(f.at(f.Socket))
	}
	who, err := pki.OpenIdentity(f.at(f.TLS.Certificate), f.at(f.TLS.Key), f.at(f.TLS.Authorities))
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return wire.ListenTLS(f.TLS.Listen, who)
}

// Read reads and checks a file, without touching anything that it names.
func Read(path string) (*Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	data, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return nil, err
	}
	f := &Config{path: path}
	if err := claim.DecodeYAML(path, data, custody.Small, "socket or tls, site and fabrics", f, f.check); err != nil {
		return nil, err
	}
	return f, nil
}

// check refuses what makes no sense, without touching anything that the file names.
func (f *Config) check() error {
	switch {
	case f.Socket == "" == (f.TLS == nil):
		return errors.New("socket, tls: expected one of the two: the path of the unix socket to serve on, or where and as whom a control plane on another machine is answered")
	case f.TLS != nil && (f.TLS.Listen == "" || f.TLS.Certificate == "" || f.TLS.Key == "" || f.TLS.Authorities == ""):
		return errors.New("tls: expected listen (HOST:PORT), certificate, key and authorities (files of PEM)")
	case len(f.Site) == 0:
		return errors.New("site: expected the site files that were imported, in that order")
	case len(f.Fabrics) == 0:
		return errors.New("fabrics: expected a list, each with an id and one kind of driver")
	}
	seen := map[string]bool{}
	for i := range f.Fabrics {
		if seen[f.Fabrics[i].ID] {
			return fmt.Errorf("fabrics[%d]: %q is configured twice", i, f.Fabrics[i].ID)
		}
		seen[f.Fabrics[i].ID] = true
		if _, err := f.section(i); err != nil {
			return err
		}
	}
	return nil
}

// inventory is a site as a process of drivers knows it.
type inventory struct {
	site  *site.Site
	units []*site.SUInventory
}

// fabrics lists the ids of the site's fabrics, for people.
func (in inventory) fabrics() string {
	ids := make([]string, len(in.site.Fabrics))
	for i, f := range in.site.Fabrics {
		ids[i] = f.ID
	}
	return strings.Join(ids, ", ")
}

// inventory compiles the site files as so many imports would.
func (f *Config) inventory() (in inventory, err error) {
	for _, path := range f.Site {
		data, err := custody.ReadFile(f.at(path), custody.Large)
		if err != nil {
			return in, err
		}
		t, err := site.ParseTemplate(f.at(path), data)
		if err != nil {
			return in, err
		}
		if in.site == nil {
			in.site = site.New(t.Header())
		} else if err := in.site.Extend(t.Header()); err != nil {
			return in, fmt.Errorf("%s: %w", path, err)
		}
		_, err = t.Compile(func(u *site.SUInventory) error {
			if _, known := in.site.SUByID(u.SU); known {
				return nil
			}
			in.units = append(in.units, u)
			_, err := in.site.AddSU(u, u.Digest())
			return err
		})
		if err != nil {
			return in, fmt.Errorf("%s: %w", path, err)
		}
	}
	return in, nil
}

// Open makes every driver of the file. What was opened is closed again if one fails.
func (f *Config) Open(ctx context.Context, log *slog.Logger) (drivers map[string]fabric.Driver, close func() error, err error) {
	in, err := f.inventory()
	if err != nil {
		return nil, nil, err
	}
	drivers = map[string]fabric.Driver{}
	var closers []func() error
	close = func() (err error) {
		for _, c := range closers {
			err = errors.Join(err, c())
		}
		return err
	}
	for i := range f.Fabrics {
		c := &f.Fabrics[i]
		s, err := f.section(i)
		if err == nil {
			index, known := in.site.FabricByID(c.ID)
			if !known {
				err = fmt.Errorf("the site has no fabric %q: expected one of %s", c.ID, in.fabrics())
			} else {
				var done func() error
				if drivers[c.ID], done, err = s.open(ctx, in, index, log.With("fabric", c.ID)); err == nil {
					closers = append(closers, done)
				}
				if m := c.Management; err == nil && m != nil {
					var around *managed
					if around, err = m.around(drivers[c.ID], in, f.at); err == nil {
						drivers[c.ID] = around
						closers = append(closers, func() error { around.gateway.Close(); return nil })
					}
				}
			}
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%s: fabrics[%d] (%s): %w", f.path, i, c.ID, err), close())
		}
	}
	return drivers, close, nil
}

// Prepared is a line about what was done, or found there, for a fabric.
type Prepared struct {
	Fabric string `json:"fabric"`
	Did    string `json:"did"`
}

// Prepare writes the first files of the managers that the file names. What was done is
// said beside an error too.
func (f *Config) Prepare(ctx context.Context) (all []Prepared, err error) {
	for i := range f.Fabrics {
		s, bad := f.section(i)
		if bad != nil {
			return nil, fmt.Errorf("%s: %w", f.path, bad)
		}
		did := []string{"nothing to prepare for " + s.kind}
		if s.prepare != nil {
			did, bad = s.prepare(ctx)
		}
		for _, line := range did {
			all = append(all, Prepared{f.Fabrics[i].ID, line})
		}
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: fabrics[%d] (%s): %w", f.path, i, f.Fabrics[i].ID, bad))
		}
	}
	return all, err
}

// hexGUID is a port GUID as infiniband-diags write it: 0x and hexadecimal digits.
type hexGUID uint64

// UnmarshalText reads it.
func (g *hexGUID) UnmarshalText(text []byte) error {
	s := string(text)
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n == 0 || len(s) < 3 || s[:2] != "0x" {
		return fmt.Errorf("GUID %.40q: expected 0x and up to 16 hexadecimal digits", s)
	}
	*g = hexGUID(n)
	return nil
}

// between checks a time that a file gives; 0 is the default.
func between(name string, d, least, most time.Duration) error {
	if d != 0 && (d < least || d > most) {
		return fmt.Errorf("%s: %s: expected %s to %s", name, d, least, most)
	}
	return nil
}
