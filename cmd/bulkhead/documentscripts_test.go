package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	scripted = regexp.MustCompile(`(?m)^(?:! )?exec (.+)$`)               // a command of a script
	begun    = regexp.MustCompile(`(?m)^start \S+ (?:'[^']*'|\S+) (.+)$`) // one that goes on
	expects  = regexp.MustCompile(`(?m)^stdout '([^']+)'$`)               // what one prints
	elided   = regexp.MustCompile(`^(.*?)\.\.\.$`)                        // the end of a line that a document leaves out
	into     = regexp.MustCompile(`^(\S+) > (\S+)$`)                      // a program of others, into a file
	quoting  = strings.NewReplacer(`"`, `'`)
)

// runByScripts holds a document's transcripts to scripts that run them: every command
// stands in one of them, and every line that a command prints is one that a script
// expects, literally or by a pattern. TestScript runs the scripts.
func runByScripts(t *testing.T, d *document, scripts []string) {
	var commands, patterns []string
	var all strings.Builder
	for _, name := range scripts {
		data, err := os.ReadFile(filepath.Join("testdata", "script", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		all.WriteString(text)
		for _, m := range scripted.FindAllStringSubmatch(text, -1) {
			commands = append(commands, quoting.Replace(m[1]))
		}
		for _, m := range begun.FindAllStringSubmatch(text, -1) {
			commands = append(commands, "bulkhead "+quoting.Replace(m[1]))
		}
		for _, m := range expects.FindAllStringSubmatch(text, -1) {
			patterns = append(patterns, m[1])
		}
	}
	lines := strings.Split(all.String(), "\n")
	for _, c := range d.commands() {
		if m := into.FindStringSubmatch(c.line); m != nil {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, m[1]+" ") && strings.HasSuffix(l, " "+m[2]) }) {
				t.Errorf("$ %s: none of %v runs it", c.line, scripts)
			}
			continue
		}
		if !slices.Contains(commands, quoting.Replace(c.line)) {
			t.Errorf("$ %s: none of %v runs it", c.line, scripts)
		}
		for said := range strings.Lines(c.said) {
			said = strings.TrimRight(said, " \n")
			if m := elided.FindStringSubmatch(said); m != nil {
				said = strings.TrimSpace(m[1])
			}
			literal := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, said) })
			if !literal && !slices.ContainsFunc(patterns, func(p string) bool { return regexp.MustCompile(p).MatchString(completed(said)) }) {
				t.Errorf("$ %s\nprints, by the document:\n%s\nwhich none of %v expects", c.line, said, scripts)
			}
		}
	}
}

// completed puts a whole digest where a document shows the beginning of one.
func completed(line string) string {
	return regexp.MustCompile(`sha256:[0-9a-f]{1,63}$`).ReplaceAllString(line, "sha256:"+strings.Repeat("0", 64))
}
