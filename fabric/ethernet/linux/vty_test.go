package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// line is a daemon's end of a conversation that says what it is to say.
type line struct {
	io.Reader
	heard bytes.Buffer
}

func (l *line) Write(b []byte) (int, error) { return l.heard.Write(b) }

// An answer counts when it is there whole and ends as FRR's do, however it is cut up
// on its way; anything else is an error, never a shorter answer.
func TestAnswersOfDaemons(t *testing.T) {
	for _, c := range []struct {
		sent, said string
		status     byte
		bad, late  bool
	}{
		{"{\"a\":1}\n\x00\x00\x00\x00", "{\"a\":1}\n", 0, false, false},
		{"\x00\x00\x00\x00", "", 0, false, false},
		{"% Unknown command\n\x00\x00\x00\x02", "% Unknown command\n", 2, false, false},
		{strings.Repeat("x", 200<<10) + "\x00\x00\x00\x00", strings.Repeat("x", 200<<10), 0, false, false},
		{"{\"a\":", "", 0, true, false},
		{"{}\x00\x00\x00", "", 0, true, false},
		{"{}\x00\x01\x00\x00", "", 0, true, false},
		{"{}\x00\x00\x00\x00{}", "", 0, true, true},
	} {
		for name, way := range map[string]io.Reader{"whole": strings.NewReader(c.sent), "byte by byte": iotest.OneByteReader(strings.NewReader(c.sent))} {
			if name != "whole" && c.late {
				continue // it is then of the next answer
			}
			l := &line{Reader: way}
			said, err := atOnce(t.Context(), l, "show")
			if (c.status != 0) != (err != nil && strings.Contains(err.Error(), fmt.Sprintf("refused with status %d", c.status))) {
				t.Errorf("%.20q, %s: %v, expected status %d", c.sent, name, err, c.status)
			}
			if c.status != 0 {
				continue
			}
			if name != "whole" && len(c.sent) > 4 && c.bad && err == nil && strings.HasSuffix(c.sent, "{}") {
				continue // what comes after the answer is of the next one then
			}
			if string(said) != c.said || (err != nil) != c.bad {
				t.Errorf("%.20q, %s: %.20q, %v", c.sent, name, said, err)
			}
			if l.heard.String() != "show\x00" {
				t.Errorf("said %q", l.heard.String())
			}
		}
	}
}

// Whoever asks a daemon that hangs waits no longer than it wants to; one that refuses a
// command is not told the next.
func TestConversationsEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	if _, err := converse(ctx, ours, "show"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a daemon that hangs: %v", err)
	}
	ours, theirs = net.Pipe()
	var heard bytes.Buffer
	go func() {
		buf := make([]byte, 64)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			heard.Write(buf[:n])
			_, _ = io.WriteString(theirs, "% no\x00\x00\x00\x01")
		}
	}()
	_, err := converse(t.Context(), ours, "one", "two")
	if err == nil || !strings.Contains(err.Error(), "one: refused with status 1: % no") || heard.String() != "one\x00" {
		t.Errorf("a daemon that refuses: %v; it heard %q", err, heard.String())
	}
	if _, err := converse(t.Context(), ours, "one\ntwo"); err == nil {
		t.Error("two commands in one are said")
	}
}

// Commands that are said at once are heard together, and all of them are carried out
// although one is refused; more than a daemon reads at a time is not said at all.
func TestCommandsAtOnce(t *testing.T) {
	l := &line{Reader: strings.NewReader("a\x00\x00\x00\x00% no\x00\x00\x00\x01c\x00\x00\x00\x00")}
	said, err := atOnce(t.Context(), l, "one", "two", "three")
	if string(said) != "a% noc" || err == nil || !strings.Contains(err.Error(), "two: refused") || l.heard.String() != "one\x00two\x00three\x00" {
		t.Errorf("heard %q, %v; said %q", said, err, l.heard.String())
	}
	l = &line{}
	if _, err := atOnce(t.Context(), l, strings.Repeat("x", maxAtOnce), "two"); err == nil || l.heard.Len() > 0 {
		t.Errorf("too much at once: %v, %d bytes were said", err, l.heard.Len())
	}
}
