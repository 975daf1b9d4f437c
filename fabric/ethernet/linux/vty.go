package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
)

// This file speaks with FRR's daemons as its own shell does, at the socket that each
// has for it: a command ends with a NUL, and its answer with three NULs and a status.
// To start the shell costs thirty times what an answer does.

const (
	frrRun     = "/var/run/frr"
	maxSaid    = 256 << 20 // of one answer
	trailer    = 4         // bytes after an answer
	statusDone = 0
)

// frr is the routing daemons of one machine, by their path space ("": none).
type frr string

// ask has one daemon answer commands, in order, and returns the answers one after the
// other. The first that is refused ends it, with an error that names it; what was said
// before stays said. It ends with ctx.
func (f frr) ask(ctx context.Context, daemon string, commands ...string) ([]byte, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(frrRun, string(f), daemon+".vty"))
	var said []byte
	if err == nil {
		said, err = converse(ctx, c, append([]string{"enable"}, commands...)...)
	}
	if err != nil {
		return nil, fmt.Errorf("FRR: %s: %w", daemon, err)
	}
	return said, nil
}

// converse says commands and hears their answers, and closes the connection.
func converse(ctx context.Context, c net.Conn, commands ...string) ([]byte, error) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	var out bytes.Buffer
	for _, command := range commands {
		if strings.ContainsAny(command, "\x00\n") {
			return nil, fmt.Errorf("%.80q is not one command", command)
		}
		said, status, err := exchange(c, command)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("%s: %w", command, err)
		case status != statusDone:
			return nil, fmt.Errorf("%s: refused with status %d: %.500s", command, status, bytes.TrimSpace(said))
		}
		out.Write(said)
	}
	return out.Bytes(), nil
}

// exchange says one command and hears its answer.
func exchange(c io.ReadWriter, command string) (said []byte, status byte, err error) {
	if _, err := io.WriteString(c, command+"\x00"); err != nil {
		return nil, 0, err
	}
	buf := make([]byte, 64<<10)
	for end := -1; len(said) <= maxSaid; {
		n, err := c.Read(buf)
		if i := bytes.IndexByte(buf[:n], 0); end < 0 && i >= 0 {
			end = len(said) + i
		}
		said = append(said, buf[:n]...)
		if end >= 0 && len(said) >= end+trailer {
			if len(said) > end+trailer || !bytes.Equal(said[end:end+trailer-1], make([]byte, trailer-1)) {
				return nil, 0, errors.New("an answer that ends otherwise than FRR's do")
			}
			return said[:end], said[end+trailer-1], nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, fmt.Errorf("an answer of more than %d bytes", maxSaid)
}

// configure has bgpd take configuration lines. The lines before one that is refused
// stay, and those after it are not said.
func (f frr) configure(ctx context.Context, lines []string) error {
	_, err := f.ask(ctx, "bgpd", append([]string{"configure terminal"}, lines...)...)
	return err
}
