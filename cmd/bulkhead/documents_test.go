package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"bulkhead/wire"
)

// documents are all that have transcripts: what a person types after a $, and what
// comes back. They are run as they stand, in an empty folder, or, where they need what
// stands nowhere in them, by scripts in testdata/script.
var documents = map[string][]string{
	"docs/first-lease.md": nil,
	"docs/drivers.md":     {"drivers", "adopt", "clock"}, // subnets under OpenSM
	"docs/what-if.md":     {"whatif"},                    // a site on which contracts are signed
}

// pauses are how slowly a document is read: what passes at the site before each
// command until the lease is signed, and after that. Whoever reads lets no time pass
// at all, since it stands still; one who plays with the clock does.
var pauses = map[string][2]time.Duration{
	"as it is":  {},
	"at a walk": {10 * time.Minute, time.Hour},
}

// TestDocuments runs the transcripts of documents in a fresh folder, command by
// command, and compares what comes back with what the document says. It takes
// about a minute and a half: with -short only the reading as it is.
func TestDocuments(t *testing.T) {
	found := map[string]bool{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "bench/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, err := filepath.Rel(filepath.Join("..", ".."), file)
			if err != nil {
				t.Fatal(err)
			}
			d := readDocument(t, file)
			if name != "CHANGELOG.md" { // what was is not what is
				checkVerbs(t, name, d.text)
			}
			if len(d.commands()) == 0 {
				continue
			}
			found[name] = true
			scripts, listed := documents[name]
			switch {
			case !listed:
				t.Errorf("%s has transcripts: list it in documents, with the scripts that run it if it can't be run as it stands", name)
			case scripts != nil:
				t.Run(name, func(t *testing.T) { runByScripts(t, d, scripts) })
			}
		}
	}
	for name, scripts := range documents {
		if !found[name] {
			t.Errorf("%s is listed and has no transcript", name)
		}
		if scripts != nil {
			continue
		}
		for how, pause := range pauses {
			t.Run(name+" "+how, func(t *testing.T) {
				if testing.Short() && pause != [2]time.Duration{} {
					t.Skip("time passes between its commands")
				}
				runDocument(t, name, pause)
			})
		}
	}
}

// piece is a command with what it prints, or a process that ends, or text.
type piece struct {
	text string // as it is in the document
	line string // of a command
	said string // what it prints, by the document
	ends string // names of processes that are stopped here
}

type document struct {
	text   string
	pieces []piece
}

func (d *document) commands() (commands []piece) {
	for _, p := range d.pieces {
		if p.line != "" {
			commands = append(commands, p)
		}
	}
	return commands
}

var stops = regexp.MustCompile(`^<!-- a test stops: ([a-z ]+) -->$`)

// readDocument takes a page apart. Its pieces' texts, one after the other, are the page.
func readDocument(t *testing.T, file string) *document {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := &document{text: string(data)}
	fenced := false
	for line := range strings.Lines(d.text) {
		bare := strings.TrimSuffix(line, "\n")
		last := len(d.pieces) - 1
		switch m := stops.FindStringSubmatch(bare); {
		case m != nil:
			d.pieces = append(d.pieces, piece{text: line, ends: m[1]})
		case strings.HasPrefix(bare, "```"):
			fenced = !fenced
			d.pieces = append(d.pieces, piece{text: line})
		case fenced && strings.HasPrefix(bare, "$ "):
			d.pieces = append(d.pieces, piece{text: line, line: bare[2:]})
		case fenced && last >= 0 && d.pieces[last].line != "":
			d.pieces[last].text += line
			d.pieces[last].said += line
		default:
			d.pieces = append(d.pieces, piece{text: line})
		}
	}
	return d
}

// varying is what differs from run to run in what a document prints, and its stand-in.
var varying = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "DIGEST"},
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), "FINGERPRINT"},
	{regexp.MustCompile(`ssh-ed25519 [A-Za-z0-9+/=]{68}`), "KEY"},
	{regexp.MustCompile(`bulkhead-checkpoint\+\S+`), "KEY"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`(entry|entries|checkpoint|scope \S+|epoch|verdicts) +\d+`), "$1 N"},
	{regexp.MustCompile(`(?m)^(token +)[0-9a-f]{8}$`), "${1}ID"},
	{regexp.MustCompile(`(?m)^ +\d+ +TIME`), "N TIME"},
	{regexp.MustCompile(`\d+ bytes`), "N bytes"},
	{regexp.MustCompile(`(?m)^Times in which nobody looked.*\n(.+\n)+\n?`), ""}, // on a machine that had too much to do
	{regexp.MustCompile(`(?m)^silence .*\n?`), ""},                              // of who starts the server again an hour after the devices
	{regexp.MustCompile(`(?m) +`), " "},
	{regexp.MustCompile(`(?m) $`), ""},
}

func steady(said string) string {
	for _, v := range varying {
		said = v.what.ReplaceAllString(said, v.name)
	}
	return strings.TrimSpace(said)
}

// reader follows a document.
type reader struct {
	t       *testing.T
	dir     string
	env     []string
	server  string
	token   string // of an operator of the server, who may see its metrics
	socket  string // of the devices
	running map[string]*process
}

// asks are the verbs that change nothing: they are asked again until what the document
// says has come, as a person looks again.
var asks = regexp.MustCompile(`^bulkhead (\S+ )*(show|list|hosts|tail|found|verify)\b`)

func runDocument(t *testing.T, name string, pause [2]time.Duration) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	d := readDocument(t, filepath.Join(root, name))
	dir, err := os.MkdirTemp("", "read") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, shown := range []string{"docs", "examples"} {
		if err := os.Symlink(filepath.Join(root, shown), filepath.Join(dir, shown)); err != nil {
			t.Fatal(err)
		}
	}
	bin := t.TempDir()
	if said, err := exec.Command("go", "build", "-o", filepath.Join(bin, "bulkhead-verify"), "bulkhead/cmd/bulkhead-verify").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	r := &reader{t: t, dir: dir, running: map[string]*process{}, env: append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))}
	between := pause[0]
	for i := range d.pieces {
		p := &d.pieces[i]
		if p.ends != "" {
			r.end(strings.Fields(p.ends))
		}
		if p.line == "" {
			continue
		}
		r.pass(between)
		if strings.HasPrefix(p.line, "bulkhead lease sign") {
			between = pause[1]
		}
		said := r.do(p)
		if *update && pause == [2]time.Duration{} { // all of it, so that the page is of one run
			if said != "" || p.said != "" {
				blank := p.said[len(strings.TrimRight(p.said, "\n")):]
				p.text = "$ " + p.line + "\n" + strings.TrimRight(regexp.MustCompile(`(?m) +$`).ReplaceAllString(said, ""), "\n") + cmp.Or(blank, "\n")
			}
			continue
		}
		if want := steady(p.said); steady(said) != want {
			t.Errorf("%s: $ %s\nprinted:\n%s\nand the document says:\n%s\nwhich differs, without what varies:\n%s\n---\n%s", name, p.line, said, p.said, steady(said), want)
		}
	}
	r.end([]string{"serve", "sim"})
	var text strings.Builder
	for _, p := range d.pieces {
		text.WriteString(p.text)
	}
	if text.String() != d.text {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// do types one command, and returns what it printed.
func (r *reader) do(p *piece) string {
	t := r.t
	if set, ok := strings.CutPrefix(p.line, "export "); ok {
		r.env = append(r.env, set)
		return ""
	}
	fields := strings.Fields(p.line)
	if len(fields) > 1 && fields[0] == "bulkhead" && (fields[1] == "sim" || fields[1] == "serve") {
		r.start(fields[1:])
		return ""
	}
	var out []byte
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c := exec.Command("sh", "-c", p.line)
		c.Dir, c.Env = r.dir, r.env
		var err error
		out, err = c.CombinedOutput()
		if asks.MatchString(p.line) && (err != nil || steady(string(out)) != steady(p.said)) && time.Now().Before(deadline) && !*update {
			continue
		}
		if err != nil {
			t.Fatalf("$ %s: %v: %s", p.line, err, out)
		}
		break
	}
	return string(out)
}

// start leaves a process to itself, as another terminal would.
func (r *reader) start(args []string) {
	what := args[0]
	if what == "serve" {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	if r.running[what] != nil {
		r.t.Fatalf("%s is started, and runs already", what)
	}
	p := launch(r.t, func(c *exec.Cmd) { c.Dir, c.Env = r.dir, r.env }, args...)
	r.running[what] = p
	if what == "serve" {
		r.server = p.address(r.t)
		r.token = filepath.Join(r.dir, args[slices.Index(args, "--data")+1], "operator.token")
		r.env = append(r.env, "BULKHEAD_SERVER="+r.server)
		return
	}
	r.socket = filepath.Join(r.dir, args[slices.Index(args, "--socket")+1])
	p.until(r.t, "socket", func() bool {
		c, err := wire.Dial(r.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (r *reader) end(names []string) {
	for _, name := range names {
		if p := r.running[name]; p != nil {
			if err := p.interrupt(r.t); err != nil {
				r.t.Errorf("%s ended: %v: %s", name, err, p.said())
			}
			delete(r.running, name)
		}
	}
}

// pass lets time pass at the site, a look at a time, and waits until the server has
// looked at what is now.
func (r *reader) pass(d time.Duration) {
	if r.running["sim"] == nil {
		return
	}
	client, err := wire.Dial(r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	now, err := client.Sim.Now(ctx)
	for err == nil {
		r.lookedAt(now)
		if d <= 0 {
			return
		}
		now, d = now.Add(min(d, pollOfTiny)), d-pollOfTiny // in longer steps nobody would look in between
		err = client.Sim.Advance(ctx, now)
	}
	r.t.Fatal(err)
}

// lookedAt waits until the server, if there is one, has looked at the devices at a time,
// or so shortly before that no look is due. It also knows then how late it is.
func (r *reader) lookedAt(at time.Time) {
	server := r.running["serve"]
	if server == nil {
		return
	}
	monitor, err := (&client{Server: r.server, TokenFile: r.token}).http()
	if err != nil {
		r.t.Fatal(err)
	}
	server.until(r.t, fmt.Sprintf("look at the site of %s", at), func() bool {
		answer, err := monitor.Get(r.server + "/metrics")
		if err != nil {
			return false
		}
		page, err := io.ReadAll(answer.Body)
		if errors.Join(err, answer.Body.Close()) != nil {
			return false
		}
		m := lastLook.FindSubmatch(page)
		if m == nil {
			return false
		}
		seconds, err := strconv.ParseFloat(string(m[1]), 64)
		return err == nil && int64(seconds) > at.Add(-pollOfTiny).Unix()
	})
}

// pollOfTiny is how often the tiny site is looked at when nothing happens.
const pollOfTiny = 10 * time.Minute

var inline = regexp.MustCompile("`bulkhead ([^`]+)`")

// checkVerbs checks that what a document mentions in its text are verbs that there are.
func checkVerbs(t *testing.T, name, text string) {
	t.Helper()
	parser, err := kong.New(&grammar{}, kong.Name("bulkhead"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range inline.FindAllStringSubmatch(text, -1) {
		node := parser.Model.Node
		for _, word := range strings.Fields(m[1]) {
			if len(node.Children) == 0 || node.Type == kong.ArgumentNode {
				break
			}
			at := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word })
			if at < 0 {
				if !bytes.HasPrefix([]byte(word), []byte("-")) {
					t.Errorf("%s: `bulkhead %s`: there is no verb %q", name, m[1], word)
				}
				break
			}
			node = node.Children[at]
		}
	}
}
