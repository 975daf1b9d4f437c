package draft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/site"
	"bulkhead/site/hostlist"
)

// Selection says which names are meant: of hosts or of their rail ports. The zero
// value means all of them.
type Selection struct {
	text  string
	names map[string]bool // true: something has the name
}

// Select reads a list of names: n[001-016],n20 as host lists are written, and
// mlx5_0-7 for mlx5_0 to mlx5_7.
func Select(list string) (Selection, error) {
	s := Selection{text: list}
	if list == "" {
		return s, nil
	}
	s.names = map[string]bool{}
	depth, from := 0, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i < len(list) && list[i] == '[':
			depth++
		case i < len(list) && list[i] == ']':
			depth--
		case i == len(list) || list[i] == ',' && depth == 0:
			if err := s.add(strings.TrimSpace(list[from:i])); err != nil {
				return Selection{}, err
			}
			from = i + 1
		}
	}
	return s, nil
}

// add takes one part between commas.
func (s *Selection) add(part string) error {
	if first, last, isRange := strings.Cut(part, "-"); isRange && !strings.Contains(part, "[") {
		base := strings.TrimRight(first, "0123456789")
		from, err := strconv.Atoi(first[len(base):])
		to, err2 := strconv.Atoi(last)
		if err == nil && err2 == nil && base != "" && from <= to && to-from < site.MaxNodes {
			for n := from; n <= to; n++ {
				s.names[strings.ToLower(fmt.Sprintf("%s%0*d", base, len(first)-len(base), n))] = false
			}
			// A host may be called a-1 as well: nobody misses it.
			s.names[strings.ToLower(part)] = true
			return nil
		}
	}
	names, err := hostlist.Expand(part, site.MaxNodes)
	if err != nil {
		return fmt.Errorf("%.60q: expected names such as gpu[001-016],gpu020 or mlx5_0-7: %w", part, err)
	}
	for _, name := range names {
		s.names[strings.ToLower(name)] = false
	}
	return nil
}

// All reports whether nothing was selected, so that everything is meant.
func (s Selection) All() bool { return s.names == nil }

// Names reports whether something was selected, and that by its name.
func (s Selection) Names(name string) bool { return !s.All() && s.Has(name) }

// Has reports whether one of the names that a thing has is meant.
func (s Selection) Has(names ...string) bool {
	if s.names == nil {
		return true
	}
	for _, name := range names {
		name = strings.ToLower(name)
		if _, meant := s.names[name]; name != "" && meant {
			s.names[name] = true
			return true
		}
	}
	return false
}

// Unmet lists the names that are meant and that nothing has had so far: more likely a
// slip of the pen than a wish. It is "" where all were met.
func (s Selection) Unmet() string {
	var names []string
	for name, met := range s.names {
		if !met {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return hostlist.Fold(names)
}

func (s Selection) String() string { return s.text }
