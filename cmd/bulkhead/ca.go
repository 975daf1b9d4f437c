package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"bulkhead/custody/pki"
)

type caCommand struct {
	Create caCreate `cmd:"" help:"Make an authority: the certificate that others are given, and its key."`
	Issue  caIssue  `cmd:"" help:"Make a key and have the authority vouch for it."`
}

type caCreate struct {
	Dir   string        `required:"" type:"path" placeholder:"DIR" help:"Folder of the authority. It is made; what is in it is never replaced."`
	Name  string        `default:"Bulkhead" help:"What the authority calls itself."`
	Valid time.Duration `default:"87600h" help:"For how long it counts: ten years."`
	format
}

// Help is the example.
func (caCreate) Help() string {
	return `A small authority of the owner's own, for the TLS of the server and of drivers on
other machines, where there is none already: certificates of any other do as well. Keep
authority.key on a machine of its own, and give authority.pem to whoever connects. There
is no list of what was revoked: let certificates end soon, or begin with a new authority.

Examples:

    bulkhead ca create --dir ca
    bulkhead ca create --dir ca --name "Example drivers" --valid 17520h`
}

// Run makes it.
func (c *caCreate) Run() error {
	if c.Valid <= 0 || c.Name == "" {
		return usagef("--valid %s, --name %q: expected more than nothing", c.Valid, c.Name)
	}
	now := time.Now()
	if err := pki.CreateAuthority(c.Dir, c.Name, now, c.Valid); err != nil {
		return err
	}
	made := issued{Certificate: filepath.Join(c.Dir, pki.AuthorityCert), Expires: now.Add(c.Valid).UTC().Truncate(time.Second)}
	return c.print(made, func(w io.Writer) { made.rows(w) })
}

type caIssue struct {
	Dir   string        `required:"" type:"path" placeholder:"DIR" help:"Folder of the authority."`
	For   string        `required:"" enum:"server,client" placeholder:"server|client" help:"server: it answers (bulkhead serve, drivers). client: it calls (bulkhead serve towards drivers on other machines)."`
	Name  []string      `required:"" placeholder:"NAME" help:"Name or address by which the machine is called; may be given several times."`
	Out   string        `required:"" type:"path" placeholder:"PATH" help:"Writes PATH.pem and PATH.key, which must not exist."`
	Valid time.Duration `default:"2160h" help:"For how long it counts: 90 days, and no longer than the authority."`
	format
}

// Help is the example.
func (caIssue) Help() string {
	return `To renew, issue into new files and move them over the old ones, the key first: whoever
shows them reads them again. A server's certificate gives no orders to drivers, and a
client's answers nobody.

Examples:

    bulkhead ca issue --dir ca --for server --name ib1.example.com --out ib1
    bulkhead ca issue --dir ca --for client --name control-plane --out serve`
}

// issued is a certificate as it is printed.
type issued struct {
	Certificate string    `json:"certificate"`
	Key         string    `json:"key,omitempty"`
	Expires     time.Time `json:"expires"`
}

func (i issued) rows(w io.Writer) {
	row(w, "certificate", i.Certificate)
	if i.Key != "" {
		row(w, "key", i.Key)
	}
	row(w, "expires", i.Expires.Format(time.RFC3339))
}

// Run issues.
func (c *caIssue) Run() error {
	if c.Valid <= 0 {
		return usagef("--valid %s: expected more than nothing", c.Valid)
	}
	made := issued{Certificate: c.Out + ".pem", Key: c.Out + ".key"}
	expires, err := pki.Issue(c.Dir, made.Certificate, made.Key, pki.Request{Names: c.Name, Use: pki.Use(c.For), Valid: c.Valid}, time.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--dir: %w: bulkhead ca create --dir %s makes an authority", err, c.Dir)
	}
	if err != nil {
		return err
	}
	made.Expires = expires.UTC().Truncate(time.Second)
	return c.print(made, func(w io.Writer) { made.rows(w) })
}
