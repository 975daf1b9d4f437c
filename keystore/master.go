package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"bulkhead/claim"
	"bulkhead/custody"
)

// The places of the master key, which opens the others.
const (
	Beside     = "beside"     // in master.key, in the folder of what it opens
	InFile     = "file"       // in a file elsewhere
	ByCommand  = "command"    // printed by a command, such as a key service's client
	Passphrase = "passphrase" // derived from what somebody knows
)

// Worth says what each place protects against, for people.
func Worth(place string) string {
	switch place {
	case Beside:
		return "master.key lies beside what it opens: who reads this folder, or a copy of it with that file, signs as the owner"
	case InFile:
		return "who reads this folder or its backups alone can sign nothing; who also reads the key file, as root of this machine does, can"
	case ByCommand:
		return "who reads this machine's disks or backups can sign nothing; who may run the command while the service answers, can, and the service can refuse and record it"
	case Passphrase:
		return "who reads this folder or its backups must guess the passphrase; who reads the file that it is given in, need not"
	}
	return ""
}

// Master is where the master key comes from. The zero Master is "as the folder says":
// beside, or an error that says what to give.
type Master struct {
	Place string
	From  string // the file, or the command
}

// description is written before what is sealed, unless the key lies beside it.
type description struct {
	Place   string `json:"place"`
	Salt    []byte `json:"salt,omitempty"`
	Time    uint32 `json:"time,omitempty"`
	Memory  uint32 `json:"memory_kib,omitempty"`
	Threads uint8  `json:"threads,omitempty"`
}

// The cost of a guess at a passphrase, argon2id: about a tenth of a second and 64 MiB.
const (
	kdfTime, kdfMemory, kdfThreads = 3, 64 << 10, 1
	maxKDFTime, maxKDFMemory       = 64, 1 << 20
	minPassphrase                  = 12
)

func (d *description) check() error {
	switch {
	case d.Place != InFile && d.Place != ByCommand && d.Place != Passphrase:
		return fmt.Errorf("place %.40q of the master key: expected %s, %s or %s", d.Place, InFile, ByCommand, Passphrase)
	case d.Place != Passphrase:
		return nil
	case len(d.Salt) < 16 || len(d.Salt) > 64 || d.Time < 1 || d.Time > maxKDFTime || d.Memory < 8<<10 || d.Memory > maxKDFMemory || d.Threads < 1 || d.Threads > 16:
		return errors.New("the passphrase's parameters are out of bounds")
	}
	return nil
}

var sealedMagic = []byte("bulkhead keys 2\n")

// splitSealed takes the description off the front of a sealed file. What has none was
// sealed with the key beside it.
func splitSealed(data []byte) (d description, associated, sealed []byte, err error) {
	rest, described := bytes.CutPrefix(data, sealedMagic)
	if !described {
		return description{Place: Beside}, []byte(keysFile), data, nil
	}
	line, sealed, whole := bytes.Cut(rest, []byte("\n"))
	if !whole || len(line) > 1024 {
		return d, nil, nil, errors.New("its description is cut off")
	}
	if err := claim.Exact(line, 1024, &d); err != nil {
		return d, nil, nil, fmt.Errorf("its description: %w", err)
	}
	return d, data[:len(data)-len(sealed)], sealed, d.check()
}

// head is what is written before what is sealed, and covered by the seal.
func (d *description) head() (head, associated []byte, err error) {
	if d.Place == Beside {
		return nil, []byte(keysFile), nil
	}
	line, err := json.Marshal(d)
	if err != nil {
		return nil, nil, err
	}
	head = append(append(bytes.Clone(sealedMagic), line...), '\n')
	return head, head, nil
}

// describe makes the description of a new seal.
func (m Master) describe() (d description, err error) {
	d.Place = m.Place
	if d.Place == "" {
		d.Place = Beside
	}
	if d.Place == Passphrase {
		d.Salt, d.Time, d.Memory, d.Threads = make([]byte, 16), kdfTime, kdfMemory, kdfThreads
		_, err = rand.Read(d.Salt)
	}
	return d, err
}

// key gives the master key for a folder whose file is described so.
func (m Master) key(dir string, d description) ([]byte, error) {
	if (m.Place == Passphrase) != (d.Place == Passphrase) || m.Place == "" && d.Place != Beside {
		return nil, fmt.Errorf("%s: its master key is %s: give %s", filepath.Join(dir, keysFile), describedAs[d.Place], flagOf[d.Place])
	}
	switch m.Place {
	case InFile:
		return rawKey(custody.ReadSecret(m.From, 4096))
	case ByCommand:
		return rawKey(ask(m.From))
	case Passphrase:
		text, err := custody.ReadSecret(m.From, 4096)
		if err != nil {
			return nil, err
		}
		text = bytes.TrimRight(text, "\r\n")
		if len(text) < minPassphrase {
			return nil, fmt.Errorf("%s: a passphrase of %d bytes: expected at least %d", m.From, len(text), minPassphrase)
		}
		return argon2.IDKey(text, d.Salt, d.Time, d.Memory, d.Threads, chacha20poly1305.KeySize), nil
	}
	path := filepath.Join(dir, masterFile)
	key, err := custody.ReadSecret(path, 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: expected both %s and %s, or neither: give --key-file with the %s of the folder that this one was copied from, or restore what is missing from the backup", dir, masterFile, keysFile, masterFile)
	}
	return key, err
}

// named is what the key is called in errors.
func (m Master) named() string {
	switch m.Place {
	case InFile, Passphrase:
		return m.From
	case ByCommand:
		return "what the key command prints"
	}
	return masterFile
}

var (
	describedAs = map[string]string{Beside: "32 bytes, in master.key or a copy of it", InFile: "in a file elsewhere", ByCommand: "printed by a command", Passphrase: "derived from a passphrase"}
	flagOf      = map[string]string{Beside: "--key-file, or no flag where master.key lies beside it", InFile: "--key-file", ByCommand: "--key-command", Passphrase: "--passphrase-file"}
)

// rawKey reads 32 bytes, as they are, in hexadecimal digits or in base64.
func rawKey(data []byte, err error) ([]byte, error) {
	if err != nil || len(data) == chacha20poly1305.KeySize {
		return data, err
	}
	text := string(bytes.TrimSpace(data))
	if key, err := hex.DecodeString(text); err == nil && len(key) == chacha20poly1305.KeySize {
		return key, nil
	}
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == chacha20poly1305.KeySize {
		return key, nil
	}
	return nil, fmt.Errorf("master key: %d bytes that are no key: expected %d bytes as they are, in hexadecimal digits or in base64", len(data), chacha20poly1305.KeySize)
}

// askLimit is how long a command may take to print the key.
const askLimit = time.Minute

// ask runs the command that prints the key. What it says on stderr is shown.
func ask(command string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	c.Stderr, c.WaitDelay = os.Stderr, time.Second
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("key command: %w", err)
	}
	data, readErr := io.ReadAll(io.LimitReader(out, 4097))
	if len(data) > 4096 {
		cancel()
		readErr = errors.New("it printed more than 4096 bytes: expected a key and nothing else")
	}
	if err := errors.Join(readErr, c.Wait()); err != nil {
		return nil, fmt.Errorf("key command: %w", err)
	}
	return data, nil
}

// make makes a new master key where the place lets it be made.
func (m Master) make(dir string, random io.Reader) error {
	path := filepath.Join(dir, masterFile)
	if m.Place == InFile {
		if path = m.From; path == "" {
			return errors.New("master key: expected the name of its file")
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return err // it is used as it is
		}
	} else if m.Place != "" && m.Place != Beside {
		return nil
	}
	key := make([]byte, chacha20poly1305.KeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return err
	}
	return custody.Replace(path, key)
}

// Place says where the key is that opens the keystore of a folder, without opening it.
func Place(dir string) (string, error) {
	data, err := custody.ReadFile(filepath.Join(dir, keysFile), custody.Large)
	if err != nil {
		return "", err
	}
	d, _, _, err := splitSealed(data)
	return d.Place, err
}

// MasterFile is where a key lies that lies beside what it opens.
func MasterFile(dir string) string { return filepath.Join(dir, masterFile) }

// Protect seals the keys anew, with a master key of another place, and removes the one
// that lay beside them.
func (s *Store) Protect(m Master) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := m.describe()
	if err != nil {
		return err
	}
	if err := m.make(s.dir, s.random); err != nil {
		return err
	}
	was, described := s.master, s.described
	s.master, s.described = m, d
	if err := s.save(); err != nil {
		s.master, s.described = was, described
		return err
	}
	if d.Place == Beside {
		return nil
	}
	if err := os.Remove(MasterFile(s.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the keys are sealed anew, and the old master key could not be removed: %w", err)
	}
	return nil
}
