package contract

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// docExample is a fenced example of docs/contracts.md.
type docExample struct {
	line                int
	text                string
	total, refused, fee string
	acts                []string // done one after the other
}

func docExamples(t *testing.T) (base string, all []docExample, doc string) {
	t.Helper()
	data, err := os.ReadFile("../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	doc = string(data)
	inside, e := "", docExample{}
	for i, line := range strings.Split(doc, "\n") {
		switch {
		case inside == "" && strings.HasPrefix(line, "```yaml"):
			inside, e = line, docExample{line: i + 1}
		case inside != "" && line == "```":
			if inside == "```yaml base" {
				base = e.text
			}
			all, inside = append(all, e), ""
		case inside != "" && strings.HasPrefix(line, "# total "):
			e.total = line[len("# total "):]
		case inside != "" && strings.HasPrefix(line, "# act "):
			e.acts = append(e.acts, line[len("# act "):])
		case inside != "" && strings.HasPrefix(line, "# early-end "):
			e.fee = line[len("# early-end "):]
		case inside != "" && strings.HasPrefix(line, "# refused: "):
			e.refused = line[len("# refused: "):]
		case inside != "":
			e.text += line + "\n"
		}
	}
	return base, all, doc
}

// with puts the fields of an example in the place of a contract's own.
func with(base, example string) string {
	top := regexp.MustCompile(`(?m)^[a-z_]+:`)
	fields := func(text string) (names []string, of map[string]string) {
		of = map[string]string{}
		at := top.FindAllStringIndex(text, -1)
		for i, from := range at {
			to := len(text)
			if i+1 < len(at) {
				to = at[i+1][0]
			}
			name := text[from[0]:from[1]]
			names, of[name] = append(names, name), text[from[0]:to]
		}
		return names, of
	}
	names, was := fields(base)
	added, is := fields(example)
	out := ""
	for _, name := range names {
		if is[name] == "" {
			out += was[name]
		}
	}
	for _, name := range added {
		out += is[name]
	}
	return out
}

// Every example of docs/contracts.md is a contract, and has the price that stands beside it.
func TestTheReferencesExamples(t *testing.T) {
	base, all, _ := docExamples(t)
	if base == "" || len(all) < 15 {
		t.Fatalf("%d examples in docs/contracts.md, or none that is the base", len(all))
	}
	priced, done := 0, 0
	for _, e := range all {
		c, err := Parse("contracts.md", []byte(with(base, e.text)))
		if e.refused != "" {
			if err == nil || !strings.Contains(err.Error(), e.refused) {
				t.Errorf("line %d: error %v, expected %s", e.line, err, e.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("line %d: %v", e.line, err)
			continue
		}
		if e.total == "" {
			if !c.Open() {
				t.Errorf("line %d: an example that has a price, without its total", e.line)
			}
			continue
		}
		p, err := Price(c)
		if err != nil || p.Total != e.total {
			t.Errorf("line %d: total %v (%v), expected %s", e.line, p, err, e.total)
		}
		priced++
		for _, act := range e.acts {
			done++
			if c = performed(t, c, act); c == nil {
				t.Fatalf("line %d: after %s", e.line, act)
			}
		}
		if len(e.acts) > 0 && (c.Ending == nil || c.Ending.Fee.Rat().FloatString(2) != e.fee) {
			t.Errorf("line %d: after %q: %+v, expected a fee of %s", e.line, e.acts, c.Ending, e.fee)
		}
	}
	if priced < 12 || done < 2 {
		t.Errorf("only %d examples are priced, %d acts done", priced, done)
	}
}

// performed does an act as the reference writes it: when, which, by whom. One slot of each
// tranche is missing.
func performed(t *testing.T, c *Contract, line string) *Contract {
	t.Helper()
	var given, act, party string
	if n, _ := fmt.Sscanf(strings.ReplaceAll(line, ",", ""), "%s %s by the %s", &given, &act, &party); n != 3 {
		t.Errorf("%q: expected WHEN ACT by the PARTY", line)
		return nil
	}
	at, err := time.Parse(time.RFC3339, given)
	if err != nil {
		t.Error(err)
		return nil
	}
	asked := Asked{Act: Act(act), Party: party, Given: at}
	for _, tr := range c.Tranches {
		asked.Missing = append(asked.Missing, Missing{tr.ID, 1})
	}
	out, err := c.Perform(asked)
	if err != nil {
		t.Error(err)
		return nil
	}
	return out.Next
}

// The reference names every field that a file may have, and shows each in an example.
func TestTheReferenceNamesEveryField(t *testing.T) {
	_, all, doc := docExamples(t)
	shown := ""
	for _, e := range all {
		shown += e.text
	}
	unknown := "no_such_field: 1\n"
	text := unknown
	for _, part := range []string{"tranches: [{%s}]", "rates: [{%s}]", "take_or_pay: {%s}", "prepaid: {%s}", "sla: [{%s}]", "sla: [{tiers: [{%s}]}]", "unknown: {%s}", "storage: [{%s}]",
		"termination: [{%s}]", "tax: {%s}", "zone_rules: {%s}", "zone_rules: {changes: [{%s}]}"} {
		text += "---\n" + fmt.Sprintf(part, "no_such_field: 1") + "\n"
	}
	seen := map[string]bool{}
	for _, one := range strings.Split(text, "---\n") {
		_, err := Parse("f.yaml", []byte(one))
		if err == nil {
			t.Fatalf("%s: is taken", one)
		}
		_, list, ok := strings.Cut(err.Error(), "unknown field: expected one of ")
		if !ok {
			t.Fatalf("%s: %v", one, err)
		}
		list, _, _ = strings.Cut(list, "\n")
		for _, name := range strings.Split(list, ", ") {
			if seen[name] = true; !strings.Contains(doc, "`"+name+"`") || !regexp.MustCompile(`(^|[\s{])`+name+`:`).MatchString(shown) {
				t.Errorf("docs/contracts.md doesn't name and show the field %s of %s", name, strings.TrimSpace(one))
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d fields were found", len(seen))
	}
}
