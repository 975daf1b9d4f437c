// Package hostlist reads and writes lists of host names as Slurm does:
// "n[001-064,070],login1,r[1-2]n[1-4]". It is pure.
//
// Source: Slurm's manual pages slurm.conf ("NodeName") and scontrol
// ("hostlist").
package hostlist

import (
	"fmt"
	"strconv"
	"strings"
)

// maxName is the longest host name, in bytes (RFC 1035, 2.3.4).
const maxName = 253

// Expand returns the names of a list in their order, at most limit of them.
// Ranges keep their leading zeros; several brackets in a name count like
// digits, the last the fastest. A name that is there twice is returned twice.
// The empty list is an error. Cost: O(names).
func Expand(list string, limit int) ([]string, error) {
	var out []string
	for _, item := range split(list) {
		if strings.TrimSpace(item) == "" {
			return nil, fmt.Errorf("host list %.60q: an empty name between commas", list)
		}
		var err error
		if out, err = expand(out, "", strings.TrimSpace(item), limit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// split cuts a list at the commas outside brackets.
func split(list string) []string {
	var items []string
	depth, start := 0, 0
	for i := range len(list) {
		switch list[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				items = append(items, list[start:i])
				start = i + 1
			}
		}
	}
	return append(items, list[start:])
}

func expand(out []string, head, rest string, limit int) ([]string, error) {
	open := strings.IndexAny(rest, "[]")
	if open < 0 {
		name := head + rest
		if err := checkName(name); err != nil {
			return nil, err
		}
		if len(out) == limit {
			return nil, fmt.Errorf("host list: more than %d names", limit)
		}
		return append(out, name), nil
	}
	close := strings.IndexByte(rest[open:], ']')
	if rest[open] == ']' || close < 0 {
		return nil, fmt.Errorf("host list %.60q: a bracket without its other half", head+rest)
	}
	close += open
	if strings.Contains(rest[open+1:close], "[") {
		return nil, fmt.Errorf("host list %.60q: brackets inside brackets", head+rest)
	}
	for _, part := range strings.Split(rest[open+1:close], ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err := number(low)
		to, err2 := number(high)
		if err != nil || err2 != nil || to < from || len(high) < len(low) {
			return nil, fmt.Errorf("host list: range %.40q: expected numbers such as 1-3 or 007-012, ascending", part)
		}
		for i := from; i <= to; i++ {
			var err error
			if out, err = expand(out, head+rest[:open]+fmt.Sprintf("%0*d", len(low), i), rest[close+1:], limit); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func number(text string) (int, error) {
	if len(text) == 0 || len(text) > 9 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}

// checkName accepts what may be a host name: letters, digits, hyphens,
// underscores and dots.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("host name %.60q: expected 1 to %d characters", name, maxName)
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			continue
		}
		return fmt.Errorf("host name %.60q: expected letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

// Fold writes names as a list that Expand reads back in the same order: names
// next to each other that differ only in their last digits share a bracket, unless
// only some of them have leading zeros. Cost: O(names).
func Fold(names []string) string {
	var b strings.Builder
	for i := 0; i < len(names); {
		head, digits := cut(names[i])
		j := i + 1
		for j < len(names) {
			h, d := cut(names[j])
			if digits == "" || h != head || len(d) != len(digits) && (padded(d) || padded(digits)) || d == "" {
				break
			}
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if j == i+1 {
			b.WriteString(names[i])
		} else {
			b.WriteString(head + "[" + ranges(names[i:j]) + "]")
		}
		i = j
	}
	return b.String()
}

// cut splits a name before its last digits. No more than nine are a number.
func cut(name string) (head, digits string) {
	i := len(name)
	for i > 0 && len(name)-i < 9 && name[i-1] >= '0' && name[i-1] <= '9' {
		i--
	}
	return name[:i], name[i:]
}

// padded reports whether digits begin with a zero that their number does not need.
func padded(digits string) bool { return len(digits) > 1 && digits[0] == '0' }

func ranges(names []string) string {
	var b strings.Builder
	for i := 0; i < len(names); {
		_, first := cut(names[i])
		last, n := first, atoi(first)
		j := i + 1
		for ; j < len(names); j++ {
			_, d := cut(names[j])
			if atoi(d) != n+j-i {
				break
			}
			last = d
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(first)
		if last != first {
			b.WriteString("-" + last)
		}
		i = j
	}
	return b.String()
}

func atoi(digits string) int {
	n, _ := strconv.Atoi(digits) // at most nine digits
	return n
}
