package contract

import (
	"maps"
	"slices"
	"strings"

	"bulkhead/claim"
)

// known maps the fields of a mapping to what reads them.
type known map[string]func(claim.YAML)

// fields reads a mapping whose fields are all known, group by group.
func fields(f claim.YAML, groups ...known) {
	m := f.Fields()
	for _, want := range groups {
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if field, ok := m.Optional(name); ok {
				want[name](field)
			}
		}
	}
	m.Done()
}

// scalar is the text of a plain value, as it stands in the file. expected says what it is
// to be, to who gives a list or fields.
func scalar(f claim.YAML, expected string) (string, bool) {
	text, ok := f.Plain()
	if !ok && !f.Missing() {
		f.Fail("expected %s, found %s", expected, f.Found())
	}
	return strings.TrimRight(text, "\n"), ok
}
