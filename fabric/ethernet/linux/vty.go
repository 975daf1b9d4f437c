package linux

import (
	"bufio"
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

func (f frr) dial(ctx context.Context, daemon string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(frrRun, string(f), daemon+".vty"))
}

// ask has one daemon answer commands, in order, and returns the answers one after the
// other. The first that is refused ends it, with an error that names it; what was said
// before stays said. It ends with ctx.
func (f frr) ask(ctx context.Context, daemon string, commands ...string) ([]byte, error) {
	c, err := f.dial(ctx, daemon)
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
		said, err := atOnce(ctx, c, command)
		if err != nil {
			return nil, err
		}
		out.Write(said)
	}
	return out.Bytes(), nil
}

// maxAtOnce is how much a daemon reads at a time, of which it carries out every command
// before it does anything else (FRR's VTY_READ_BUFSIZ).
const maxAtOnce = 512

// atOnce says commands before it hears what is answered to the first: nothing happens in
// the daemon between them, and one that is refused does not keep the others from being
// carried out.
func atOnce(ctx context.Context, c io.ReadWriter, commands ...string) (said []byte, err error) {
	var all strings.Builder
	for _, command := range commands {
		if strings.ContainsAny(command, "\x00\n") {
			return nil, fmt.Errorf("%.80q is not one command", command)
		}
		all.WriteString(command + "\x00")
	}
	if len(commands) > 1 && all.Len() > maxAtOnce {
		return nil, fmt.Errorf("%d commands of %d bytes at once: expected up to %d", len(commands), all.Len(), maxAtOnce)
	}
	answers := bufio.NewReader(c)
	_, err = io.WriteString(c, all.String())
	var refused error
	for i, command := range commands {
		var one []byte
		var status byte
		if err == nil {
			one, status, err = hear(answers)
		}
		if err == nil && i == len(commands)-1 && answers.Buffered() > 0 {
			err = errUnlike
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("%s: %w", command, err)
		case status != statusDone && refused == nil:
			refused = fmt.Errorf("%s: refused with status %d: %.500s", command, status, bytes.TrimSpace(one))
		}
		said = append(said, one...)
	}
	return said, refused
}

var errUnlike = errors.New("an answer that ends otherwise than FRR's do")

// hear hears one answer.
func hear(r *bufio.Reader) (said []byte, status byte, err error) {
	for {
		part, err := r.ReadSlice(0)
		said = append(said, part...)
		switch {
		case len(said) > maxSaid:
			return nil, 0, fmt.Errorf("an answer of more than %d bytes", maxSaid)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, 0, whole(err)
		}
		break
	}
	var end [trailer - 1]byte // after the NUL that was read
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return nil, 0, whole(err)
	}
	if end[0] != 0 || end[1] != 0 {
		return nil, 0, errUnlike
	}
	return said[:len(said)-1], end[2], nil
}

// whole is the error of an answer that ends before its end.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// configure has bgpd take configuration lines. The lines before one that is refused
// stay, and those after it are not said.
func (f frr) configure(ctx context.Context, lines []string) error {
	_, err := f.ask(ctx, "bgpd", append([]string{"configure terminal"}, lines...)...)
	return err
}

// configureAtOnce has bgpd take lines that lead into a section, and then others there of
// which it carries out all before it does anything else. They are said together although
// one is refused.
func (f frr) configureAtOnce(ctx context.Context, section, lines []string) error {
	c, err := f.dial(ctx, "bgpd")
	if err == nil {
		defer c.Close()
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		for _, line := range append([]string{"enable", "configure terminal"}, section...) {
			if err == nil {
				_, err = atOnce(ctx, c, line)
			}
		}
		if err == nil {
			_, err = atOnce(ctx, c, lines...)
		}
	}
	if err != nil {
		return fmt.Errorf("FRR: bgpd: %w", err)
	}
	return nil
}
