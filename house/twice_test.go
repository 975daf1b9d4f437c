package house

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mostAlike is how many lines of logic running two functions may share, whatever their names
// and values are.
const mostAlike = 12

var (
	written = regexp.MustCompile("\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`|'(?:\\\\.|[^'\\\\])+'|\\b[0-9][\\w.]*")
	name    = regexp.MustCompile(`[A-Za-z_]\w*`)
	letters = regexp.MustCompile(`[A-Za-z]`)
)

var kept = []string{"break", "case", "continue", "default", "defer", "else", "err", "for", "func", "go", "if", "nil", "range", "return", "select", "switch"}

// shapeOf is a line without its names, values and comments; "" where it has no logic.
func shapeOf(line string) string {
	line = written.ReplaceAllString(line, "0")
	line, _, _ = strings.Cut(line, "//")
	if line = strings.TrimSpace(line); !letters.MatchString(line) {
		return ""
	}
	return name.ReplaceAllStringFunc(line, func(n string) string {
		if slices.Contains(kept, n) {
			return n
		}
		return "x"
	})
}

type place struct {
	path string
	line int // from 1
	fun  int // of all functions
}

// twice finds what stands in two functions: the first lines of each run that is too long.
// A run of few shapes is a list, such as a switch over kinds of entries.
func twice(files []source) (found [][2]place) {
	first, funs, told := map[string]place{}, 0, map[[2]int]bool{}
	for _, s := range files {
		var shapes []string
		var at []int
		inside := false
		for i, line := range strings.Split(s.text, "\n") {
			switch {
			case strings.HasPrefix(line, "func ") && strings.HasSuffix(line, "{"):
				inside, shapes, at = true, nil, nil
				funs++
			case line == "}":
				inside = false
			case inside:
				shape := shapeOf(line)
				if shape == "" {
					continue
				}
				shapes, at = append(shapes, shape), append(at, i+1)
				from := len(shapes) - mostAlike - 1
				if from < 0 || few(shapes[from:]) {
					continue
				}
				here := place{s.path, at[from], funs}
				key := strings.Join(shapes[from:], "\n")
				other, seen := first[key]
				if !seen {
					first[key] = here
				} else if pair := [2]int{other.fun, funs}; other.fun != funs && !told[pair] {
					told[pair] = true
					found = append(found, [2]place{other, here})
				}
			}
		}
	}
	return found
}

func few(shapes []string) bool {
	all := slices.Clone(shapes)
	slices.Sort(all)
	return len(slices.Compact(all)) < mostAlike/2
}

// TestNothingIsWrittenTwice: what two places do alike has one home, or they come apart
// when one of them is mended.
func TestNothingIsWrittenTwice(t *testing.T) {
	files := slices.DeleteFunc(sources(t), func(s source) bool { return s.test || generated(s.path) })
	slices.SortFunc(files, func(a, b source) int { return cmp.Compare(a.path, b.path) })
	for _, pair := range twice(files) {
		t.Errorf("%s:%d and %s:%d share more than %d lines of logic: give it one home (docs/decisions/0051)", pair[0].path, pair[0].line, pair[1].path, pair[1].line, mostAlike)
	}
	var b strings.Builder
	for f, n := range []string{"a", "b", "c"} {
		fmt.Fprintf(&b, "func %s() {\n", n)
		for i := range mostAlike + 1 {
			fmt.Fprintf(&b, "\t%s%s(%q) // %s\n\n", n, strings.Repeat("."+n, i), n, n)
			if f == 2 && i == mostAlike/2 {
				b.WriteString("\tif c {\n\t}\n")
			}
		}
		b.WriteString("}\n")
	}
	if got := twice([]source{{path: "p", text: b.String()}}); len(got) != 1 || got[0][0].line != 2 || got[0][1].fun != 2 {
		t.Errorf("of three functions, the third other in one line: %v", got)
	}
}
