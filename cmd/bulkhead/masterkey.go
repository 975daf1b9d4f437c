package main

import (
	"fmt"
	"io"

	"bulkhead/keystore"
	"bulkhead/run/datadir"
)

// masterFlags say where the key is that opens the signing keys.
type masterFlags struct {
	KeyFile        string `placeholder:"FILE" env:"BULKHEAD_KEY_FILE" help:"File of the master key, 32 bytes, where it does not lie in keys/."`
	KeyCommand     string `placeholder:"COMMAND" env:"BULKHEAD_KEY_COMMAND" help:"Command that prints the master key, such as a key service's client; sh runs it."`
	PassphraseFile string `placeholder:"FILE" env:"BULKHEAD_PASSPHRASE_FILE" help:"File of the passphrase from which the master key is derived."`
}

// master is the flags as a place; the zero Master where none is given.
func (f *masterFlags) master() (m keystore.Master, err error) {
	given := 0
	for _, p := range []keystore.Master{{Place: keystore.InFile, From: f.KeyFile}, {Place: keystore.ByCommand, From: f.KeyCommand}, {Place: keystore.Passphrase, From: f.PassphraseFile}} {
		if p.From != "" {
			m, given = p, given+1
		}
	}
	if given > 1 {
		return m, usagef("--key-file, --key-command, --passphrase-file: expected at most one")
	}
	return m, nil
}

// dataFlag is the flag of every verb that works on the files of a control plane.
type dataFlag struct {
	Data datadir.Dir `required:"" placeholder:"DIR" help:"Folder of the control plane: ledger.db, keys/, checkpoint."`
}

// keysFlag is the flags of verbs that open a folder's signing keys.
type keysFlag struct {
	dataFlag
	masterFlags
}

func (f *keysFlag) openKeys() (*keystore.Store, error) {
	m, err := f.master()
	if err != nil {
		return nil, err
	}
	return f.Data.OpenKeys(m)
}

type keyProtect struct {
	dataFlag
	masterFlags
	NewKeyFile        string `placeholder:"FILE" help:"Move the master key to this file; one that exists is used as it is."`
	NewKeyCommand     string `placeholder:"COMMAND" help:"Use the key that this command prints."`
	NewPassphraseFile string `placeholder:"FILE" help:"Derive it from the passphrase in this file."`
	Beside            bool   `help:"Keep it in keys/master.key, beside what it opens."`
	format
}

// Help says what each place is worth.
func (keyProtect) Help() string {
	return `The signing keys lie in keys/, sealed by a master key. Without a choice that lies
beside them, in keys/master.key, so that a newcomer's server starts; it then protects
nothing but a stolen keys.enc. What the places are worth:

beside: ` + keystore.Worth(keystore.Beside) + `.

file: ` + keystore.Worth(keystore.InFile) + `.

command: ` + keystore.Worth(keystore.ByCommand) + `.

passphrase: ` + keystore.Worth(keystore.Passphrase) + `.

The keys themselves stay the same: if somebody may have read them, rotate them too. Old
copies of keys/ are opened by the old master key. The server must be stopped.

Examples:

    bulkhead key protect --data /var/lib/bulkhead --new-key-file /etc/bulkhead/master.key
    bulkhead key protect --data data --new-key-command "vault kv get -field=key bulkhead/master"`
}

// keyPlace is where the master key is, as it is printed.
type keyPlace struct {
	Place string `json:"place"`
	Worth string `json:"worth"`
}

// Run seals anew. The store is locked meanwhile: a server holds its keys' place.
func (c *keyProtect) Run() error {
	given := masterFlags{c.NewKeyFile, c.NewKeyCommand, c.NewPassphraseFile}
	next, err := given.master()
	if err != nil || (next.Place == "") != c.Beside {
		return usagef("expected one of --new-key-file, --new-key-command, --new-passphrase-file and --beside")
	}
	log, err := c.Data.Writer()
	if err != nil {
		return err
	}
	defer log.Close()
	m, err := c.master()
	if err != nil {
		return err
	}
	keys, err := c.Data.OpenKeys(m)
	if err != nil {
		return err
	}
	if err := keys.Protect(next); err != nil {
		return err
	}
	place, err := keystore.Place(c.Data.Keys())
	if err != nil {
		return err
	}
	return c.print(keyPlace{place, keystore.Worth(place)}, func(w io.Writer) {
		row(w, "master key", place)
		row(w, "worth", keystore.Worth(place))
	})
}

// besides says, of a copy of a folder's keys, whether it holds what opens them.
func besides(d datadir.Dir, with bool) string {
	place, err := keystore.Place(d.Keys())
	switch {
	case err != nil:
		return err.Error()
	case place != keystore.Beside:
		return "sealed; the master key is not in the copy: " + keystore.Worth(place)
	case with:
		return "sealed, with the master key beside them: " + keystore.Worth(place)
	}
	return fmt.Sprintf("sealed; the master key is not in the copy: without a copy of %s elsewhere nobody can open it", keystore.MasterFile("keys"))
}
