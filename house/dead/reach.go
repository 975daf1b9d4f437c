package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// reached says what lives when these begin.
func (m *module) reached(begin ...[]spot) map[spot]bool {
	lives := map[spot]bool{}
	called, names := maps.Clone(m.outside), map[string]bool{}
	for c := range called {
		names[c.name] = true
	}
	queue := slices.Concat(begin...)
	for len(queue) > 0 {
		for len(queue) > 0 {
			t := m.things[queue[len(queue)-1]]
			queue = queue[:len(queue)-1]
			if t == nil || lives[t.here] {
				continue
			}
			lives[t.here] = true
			queue = append(queue, t.mentions...)
			if t.asked {
				called[t.calls], names[t.calls.name] = true, true
			}
		}
		// A method of what lives does, too, when an interface with such a method is used.
		for _, t := range m.things {
			if t.calls.name == "" || lives[t.here] || !lives[t.within] {
				continue
			}
			if c := t.calls; called[c] || called[call{name: c.name}] || c.signature == "" && names[c.name] || runs(t) {
				queue = append(queue, t.here)
			}
		}
	}
	return lives
}

// runs reports whether kong calls it: it looks for what a verb does by that name.
func runs(t *thing) bool { return t.calls.name == "Run" && below(t.pkg, "cmd") }

// peers adds what the benches mention of this module. They are a module of their own, of
// which one package plays for this one; the others would take Kueue to compile.
func (m *module) peers() error {
	dir := filepath.Join(m.dir, "bench")
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil
	}
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo, Dir: dir, Fset: m.fset}, "./bulkhead")
	if err != nil {
		return err
	}
	// What the compiler keeps of a place is its line.
	type line struct {
		file string
		line int
		name string
	}
	lines := map[line]spot{}
	for at, t := range m.things {
		lines[line{t.at.Filename, t.at.Line, t.name[strings.LastIndex(t.name, ".")+1:]}] = at
	}
	for _, p := range pkgs {
		if len(p.Errors) > 0 {
			return fmt.Errorf("%s does not compile: %v", p.PkgPath, p.Errors[0])
		}
		for _, o := range p.TypesInfo.Uses {
			at := m.fset.Position(o.Pos())
			m.programs = append(m.programs, lines[line{at.Filename, at.Line, o.Name()}])
		}
	}
	return nil
}

// full is a thing's name with its package's path.
func (t *thing) full() string { return t.pkg + "." + t.name }

// kept is a name that stays although no program reaches it.
type kept struct {
	line      int
	name, why string
}

const keptFile = "house/dead/kept.txt"

// readKept reads lines of a name and the reason. A # begins a remark.
func readKept(dir string) ([]kept, error) {
	text, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		return nil, err
	}
	var out []kept
	for i, line := range strings.Split(string(text), "\n") {
		name, why, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || name == "#" {
			continue
		}
		out = append(out, kept{i + 1, name, strings.TrimSpace(why)})
	}
	return out, nil
}

// judge says what is dead, and of a name that is kept, when it need not be.
func (m *module) judge(list []kept) []string {
	var out []string
	byProgram := m.reached(m.programs)
	byName := map[string]spot{}
	for at, t := range m.things {
		byName[t.full()] = at
	}
	var stays []spot
	for _, k := range list {
		at := byName[k.name]
		switch {
		case at == "":
			out = append(out, fmt.Sprintf("%s:%d: nothing is called %s (package, dot, name): remove the line", keptFile, k.line, k.name))
		case byProgram[at]:
			out = append(out, fmt.Sprintf("%s:%d: %s is reached by a program: remove the line", keptFile, k.line, k.name))
		case k.why == "":
			out = append(out, fmt.Sprintf("%s:%d: %s is kept without a reason: write it behind the name", keptFile, k.line, k.name))
		}
		stays = append(stays, at)
	}
	byProgram = m.reached(m.programs, stays)
	byTest := m.reached(m.programs, stays, m.tests)
	var dead []*thing
	for _, t := range m.things {
		whole := m.things[t.within]
		switch {
		case t.quiet, m.fine(t, byProgram, byTest), whole != nil && !m.fine(whole, byProgram, byTest): // it goes with the whole
		default:
			dead = append(dead, t)
		}
	}
	slices.SortFunc(dead, func(a, b *thing) int {
		if a.at.Filename != b.at.Filename {
			return strings.Compare(a.at.Filename, b.at.Filename)
		}
		return a.at.Offset - b.at.Offset
	})
	for _, t := range dead {
		file, _ := filepath.Rel(m.dir, t.at.Filename)
		what := fmt.Sprintf("nothing uses the %s %s: remove it", t.kind, t.name)
		if byTest[t.here] {
			what = fmt.Sprintf("only tests use the %s %s: move it into a _test.go file or a package of test support (*test), or remove it with its tests; if it must stay, %s takes %s.%s with the reason",
				t.kind, t.name, keptFile, t.pkg, t.name)
		}
		out = append(out, fmt.Sprintf("%s:%d: %s", file, t.at.Line, what))
	}
	return out
}

// fine reports whether a thing is reached as it has to be: by a program, or, if it is
// there for tests, by one of them.
func (m *module) fine(t *thing, byProgram, byTest map[spot]bool) bool {
	return byProgram[t.here] || byTest[t.here] && (t.test || supports(t.pkg))
}

// below reports whether a package is, or is below, a path.
func below(pkg, of string) bool { return pkg == of || strings.HasPrefix(pkg, of+"/") }

// supports reports whether a package is there for tests.
func supports(pkg string) bool {
	for _, of := range []string{"lab", "sim", "reckoning", "house"} {
		if below(pkg, of) {
			return true
		}
	}
	return strings.HasSuffix(path.Base(pkg), "test")
}
