package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bulkhead/api"
	"bulkhead/run/datadir"
)

type tokenCommand struct {
	Create tokenCreate `cmd:"" help:"Make a token and print it, once."`
	List   tokenList   `cmd:"" help:"List tokens, without their secrets."`
	Revoke tokenRevoke `cmd:"" help:"End a token."`
}

// defaultValid is for how long a token counts where nothing is said.
const defaultValid = 90 * 24 * time.Hour

type tokenCreate struct {
	dataFlag
	Subject string        `required:"" placeholder:"NAME" help:"Who will hold it, for the ledger."`
	Role    string        `required:"" placeholder:"ROLE" enum:"operator,approver,finance,auditor,monitor,administrator,viewer" help:"The owner's: operator, approver, finance, auditor, and monitor, which reads /metrics alone. A tenant's: administrator, viewer."`
	Tenant  string        `placeholder:"ID" help:"The tenant, with administrator and viewer."`
	Valid   time.Duration `default:"2160h" help:"For how long it counts."`
	Out     string        `placeholder:"FILE" help:"Write the token into this file, for its owner alone, and don't print it. It must not exist."`
	format
}

// Help is the example.
func (tokenCreate) Help() string {
	return `Works on the files, beside a running server too. The token can't be read again.
Making it is an entry in the ledger: who made it, for whom, with which role; a tenant's
is in the tenant's own log too. The server writes it when the token is shown first, or
when it starts: a token that the ledger does not hold is not accepted.

Examples:

    bulkhead token create --data data --subject "J. Doe" --role finance --out finance.token
    bulkhead token create --data data --subject ci --role viewer --tenant acme`
}

// tokenLine is a token as it is printed.
type tokenLine struct {
	api.Token
	Hash   string `json:"sha256,omitempty"` // never printed
	Secret string `json:"token,omitempty"`
	File   string `json:"file,omitempty"`
}

// Run makes a token.
func (c *tokenCreate) Run() error {
	if err := c.Data.Existing(); err != nil {
		return err
	}
	if api.Role(c.Role).OfTenant() && c.Tenant == "" {
		return usagef("--role %s belongs to a tenant: say whose with --tenant ID", c.Role)
	}
	if !api.Role(c.Role).OfTenant() && c.Tenant != "" {
		return usagef("--tenant %s: role %s is the owner's; administrator and viewer are a tenant's", c.Tenant, c.Role)
	}
	if c.Valid <= 0 {
		return usagef("--valid %s: expected more than nothing", c.Valid)
	}
	tokens, unlock, err := changeTokens(c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	if c.Out != "" {
		token, err := tokenFile(tokens, c.Out, c.Subject, api.Role(c.Role), c.Tenant, c.Valid)
		if err != nil {
			return err
		}
		return c.print(tokenLine{Token: token, File: c.Out}, func(w io.Writer) {
			row(w, "token", token.ID)
			row(w, "file", c.Out)
			row(w, "expires", token.Expires.Format(time.RFC3339))
		})
	}
	secret, token, err := tokens.Create(c.Subject, api.Role(c.Role), c.Tenant, time.Now(), c.Valid)
	if err != nil {
		return err
	}
	return c.print(tokenLine{Token: token, Secret: secret}, func(w io.Writer) { fmt.Fprintln(w, secret) })
}

// changeTokens opens the tokens for a change that no other process makes at the
// same time: a change reads the file, adds to it and replaces it, so of two at
// once one would be lost. unlock ends that; so does the end of the process.
func changeTokens(d datadir.Dir) (tokens *api.Tokens, unlock func(), err error) {
	f, err := os.OpenFile(d.Tokens()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	unlock = func() { _ = f.Close() }
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		unlock()
		return nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if tokens, err = api.OpenTokens(d.Tokens()); err != nil {
		unlock()
		return nil, nil, err
	}
	tokens.By = account()
	return tokens, unlock, nil
}

// account is who makes a token: the account on this machine, and the one that it was
// taken on from. Whoever owns the machine can claim any; the entry is there all the same.
func account() string {
	who := "an unknown account"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if from := os.Getenv("SUDO_USER"); from != "" {
		who += ", for " + from
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown machine"
	}
	return fmt.Sprintf("%.100s on %.100s", who, host)
}

// tokenFile makes a token into a new file that only its owner can read.
func tokenFile(tokens *api.Tokens, path, subject string, role api.Role, tenant string, valid time.Duration) (api.Token, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return api.Token{}, fmt.Errorf("%s exists, and nothing is overwritten: give the token's file another name", path)
	}
	if err != nil {
		return api.Token{}, err
	}
	secret, token, err := tokens.Create(subject, role, tenant, time.Now(), valid)
	if err == nil {
		_, err = fmt.Fprintln(f, secret)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return token, errors.Join(err, os.Remove(path))
	}
	return token, nil
}

type tokenList struct {
	dataFlag
	format
}

// Help is the example.
func (tokenList) Help() string {
	return `Example:

    bulkhead token list --data data`
}

// Run lists.
func (c *tokenList) Run() error {
	if err := c.Data.Existing(); err != nil {
		return err
	}
	tokens, err := api.OpenTokens(c.Data.Tokens())
	if err != nil {
		return err
	}
	list, err := tokens.List()
	if err != nil {
		return err
	}
	lines := make([]tokenLine, len(list))
	for i, t := range list {
		lines[i].Token = t
	}
	return c.print(lines, func(w io.Writer) {
		row(w, "ID", "SUBJECT", "ROLE", "TENANT", "EXPIRES", "NOTE")
		for _, t := range list {
			note := ""
			switch {
			case !t.Revoked.IsZero():
				note = "revoked " + t.Revoked.Format(time.RFC3339)
			case time.Now().After(t.Expires):
				note = "expired"
			}
			row(w, t.ID, t.Subject, t.Role, t.Tenant, t.Expires.Format(time.RFC3339), note)
		}
	})
}

type tokenRevoke struct {
	dataFlag
	ID string `arg:"" help:"Id of the token, as token list shows it."`
	format
}

// Help is the example.
func (tokenRevoke) Help() string {
	return `A running server knows at once.

Example:

    bulkhead token revoke --data data 5f1c02aa`
}

// Run revokes.
func (c *tokenRevoke) Run() error {
	if err := c.Data.Existing(); err != nil {
		return err
	}
	tokens, unlock, err := changeTokens(c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	now := time.Now().UTC().Truncate(time.Second)
	if err := tokens.Revoke(c.ID, now); err != nil {
		return fmt.Errorf("%w: see bulkhead token list --data %s", err, c.Data)
	}
	return c.print(map[string]any{"id": c.ID, "revoked": now}, func(w io.Writer) { say(w, "token %s: revoked", c.ID) })
}

// firstTokens makes what the first people need, where no token was ever made.
func (s *server) firstTokens() error {
	tokens, unlock, err := changeTokens(s.c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	s.tokens = tokens
	list, err := tokens.List()
	if err != nil || len(list) > 0 {
		return err
	}
	for _, role := range []api.Role{api.Operator, api.Approver, api.Finance} {
		path := filepath.Join(string(s.c.Data), string(role)+".token")
		if _, err := tokenFile(tokens, path, "first "+string(role), role, "", defaultValid); err != nil {
			return fmt.Errorf("first tokens: %w", err)
		}
		s.log.Info("a token was made; give it to whom it is for, and remove the file", "role", string(role), "file", path, "days", int(defaultValid.Hours()/24))
	}
	if strings.HasPrefix(s.c.Listen, "127.") {
		s.log.Info("try", "command", fmt.Sprintf("export BULKHEAD_TOKEN_FILE=%s; bulkhead site import FILE", filepath.Join(string(s.c.Data), "operator.token")))
	}
	return nil
}
