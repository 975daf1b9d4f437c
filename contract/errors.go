package contract

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// FieldError is one thing that is wrong with a contract.
type FieldError struct {
	File   string // "" when the contract did not come from a file
	Line   int    // 1-based; 0 when there is no file
	Field  string // "rates[1].price"
	Reason string // what was found, what was expected
}

func (e *FieldError) Error() string {
	where := "contract"
	if e.File != "" {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Field == "" {
		return where + ": " + e.Reason
	}
	return where + ": " + e.Field + ": " + e.Reason
}

// Errors are all things that are wrong, in the order of the file, or of the
// fields where there is no file. There is at least one.
type Errors []*FieldError

// maxErrors keeps a hopeless file from printing a page for each line.
const maxErrors = 20

func (e Errors) Error() string {
	lines := make([]string, 0, len(e))
	for i, one := range e {
		if i == maxErrors {
			lines = append(lines, fmt.Sprintf("and %d more", len(e)-i))
			break
		}
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each single error.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// findings collects what is wrong while a contract is read or checked.
type findings struct {
	list Errors
}

func (f *findings) add(field, format string, args ...any) {
	f.list = append(f.list, &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// err returns what was found, or nil.
func (f *findings) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b *FieldError) int { return cmp.Compare(a.Line, b.Line) })
	return f.list
}
