package claim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with what a person wrote.
type Problem struct {
	File   string // or what it is, where it comes from no file; "": its reader knows
	Line   int    // from 1; 0: it comes from no file
	Column int    // from 1; 0: not said
	Field  string // path such as "rates[1].price"; "": the whole
	Reason string // what was found, what was expected, what to do
}

func (p *Problem) Error() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, p.Line)
	}
	if p.Column > 0 {
		where = fmt.Sprintf("%s:%d", where, p.Column)
	}
	if where != "" && p.Field != "" {
		where += ": "
	}
	if where += p.Field; where != "" {
		where += ": "
	}
	return where + p.Reason
}

// Problems are all things that are wrong: whoever edits a file wants to see all of them.
// There is at least one.
type Problems []*Problem

// maxProblems keeps a hopeless file from printing a page for each line.
const maxProblems = 20

func (p Problems) Error() string {
	lines := make([]string, 0, min(len(p), maxProblems+1))
	for i, one := range p {
		if i == maxProblems {
			lines = append(lines, one.File+": and more problems; mend these first")
			break
		}
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each single one.
func (p Problems) Unwrap() []error {
	out := make([]error, len(p))
	for i, one := range p {
		out[i] = one
	}
	return out
}

// Err is the problems in the order of the file, each once, or nil.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b *Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return slices.CompactFunc(p, func(a, b *Problem) bool { return *a == *b })
}
