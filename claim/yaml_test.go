package claim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
)

type written struct {
	Name  string               `yaml:"name"`
	Count int                  `yaml:"count"`
	Real  bool                 `yaml:"real"`
	From  time.Time            `yaml:"from,omitempty"`
	For   time.Duration        `yaml:"for"`
	Grade claim.Grade          `yaml:"grade"`
	List  []*one               `yaml:"list"`
	Named map[string]time.Time `yaml:"named"`
}

type one struct {
	ID string `yaml:"id"`
}

func decode(text string) (*written, error) {
	var w written
	err := claim.DecodeYAML("f.yaml", []byte(text), 1<<20, "a name", &w, nil)
	return &w, err
}

func TestYAMLIsRead(t *testing.T) {
	w, err := decode("# so\n---\nname: 1.10\ncount: 1_000\nreal: true\nfrom: 2026-04-01T07:00:00Z\nfor: 1h30m\ngrade: operator-asserted\n" +
		"list:\n- {id: true}\n- id: |\n    two\n    lines\nnamed: {n1: 2026-04-01, \"n 2\": 2026-04-01 07:00:00}\n...\n")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v %s %q %v", *w, w.List[0].ID, w.List[1].ID, w.Named)
	for _, want := range []string{"Name:1.10 Count:1000 Real:true From:2026-04-01 07:00:00 +0000 UTC For:1h30m0s Grade:operator-asserted",
		`true "two\nlines\n"`, "n 2:2026-04-01 07:00:00 +0000 UTC n1:2026-04-01 00:00:00 +0000 UTC"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant in it %s", got, want)
		}
	}
}

// Every complaint names file, line and field, and all of them are told at once.
func TestYAMLIsReadInOneWay(t *testing.T) {
	deep := func(n int) string {
		text := "name: a\nlist:\n"
		for i := range n {
			text += strings.Repeat(" ", i+1) + "k:\n"
		}
		return text
	}
	for text, want := range map[string]string{
		"":                                    "f.yaml:1:1: empty: expected a name",
		"# nothing\n---\n":                    "f.yaml:1:1: empty: expected a name",
		"name: a\n---\nname: b":               "f.yaml:3:1: a second document: expected one a file; remove the --- line and what follows",
		"name: a\n---\n# no more\n":           "",
		"- a":                                 "f.yaml:1:1: expected fields (name: value), found a list",
		"name: a\nnam: b":                     "f.yaml:2:1: nam: unknown field: expected one of count, for, from, grade, list, name, named, real",
		"other: a":                            "f.yaml:1:1: other: unknown field: expected one of count, for, from, grade, list, name, named, real",
		"name: a\nname: b":                    "f.yaml:2:1: name: the field is here twice (first in line 1); keep one",
		"name:\ncount: ~":                     "f.yaml:1:1: name: found nothing; give a value or remove the field\nf.yaml:2:1: count: found nothing; give a value or remove the field",
		"list:\n- id: a\n-\n- {idd: c}":       "f.yaml:3:2: list[1]: an empty entry; fill or remove it\nf.yaml:4:4: list[2].idd: unknown field: expected one of id",
		"list: {id: a}":                       "f.yaml:1:1: list: expected a list, found fields",
		"name: [a]":                           "f.yaml:1:1: name: expected one value, found a list",
		"name: &a b\ncount: *a":               "f.yaml:1:1: name: expected one value, found an anchor, alias, merge or tag, which is not supported\nf.yaml:2:1: count: expected a whole number, found an anchor, alias, merge or tag, which is not supported",
		"name: !!str b":                       "f.yaml:1:1: name: expected one value, found an anchor, alias, merge or tag, which is not supported",
		"<<: {name: a}":                       "f.yaml:1:1: expected a plain field name; anchors, merges and tags are not supported",
		"[a]: b":                              "f.yaml:1:4: not YAML: a list or fields as the name of a field: expected name: value; found \"[a]: b\"",
		"real: yes":                           "f.yaml:1:1: real: expected true or false, found \"yes\"",
		"count: 1.5":                          "f.yaml:1:1: count: \"1.5\": expected a whole number",
		"from: soon":                          "f.yaml:1:1: from: \"soon\": expected a time such as 2026-04-01T07:00:00Z",
		"from: [soon]":                        "f.yaml:1:1: from: expected a time such as 2026-04-01T07:00:00Z, found a list",
		"for: {a: b}":                         "f.yaml:1:1: for: expected a duration such as 500ms, 15m or 36h, found fields",
		"list:\n- id: a\n  count: 3":          "f.yaml:3:3: list[0].count: unknown field: expected one of id",
		"count: {a: b}":                       "f.yaml:1:1: count: expected a whole number, found fields",
		"count: 99999999999999999999":         "f.yaml:1:1: count: \"99999999999999999999\": expected a whole number",
		"for: 15 minutes":                     "f.yaml:1:1: for: \"15 minutes\": expected a duration such as 500ms, 15m or 36h",
		"for: 99999999h":                      "f.yaml:1:1: for: \"99999999h\": expected a duration such as 500ms, 15m or 36h",
		"for: \"\\e[31m\"":                    "f.yaml:1:1: for: \"\\x1b[31m\": expected a duration such as 500ms, 15m or 36h",
		"grade: sure":                         "f.yaml:1:1: grade: grade \"sure\": expected one of absent, simulated, operator-asserted, hardware-attested, tenant-proven",
		"for: 5":                              "f.yaml:1:1: for: \"5\": expected a duration such as 500ms, 15m or 36h",
		"named: {n1: soon, n1: 2026-04-01}":   "f.yaml:1:9: named.n1: \"soon\": expected a time such as 2026-04-01T07:00:00Z\nf.yaml:1:19: named.n1: the field is here twice (first in line 1); keep one",
		"\"a\\e[31m\": b":                     "f.yaml:1:1: a\\x1b[31m: unknown field: expected one of count, for, from, grade, list, name, named, real",
		"name: \xff":                          "f.yaml:1:1: not UTF-8 text",
		"name: " + strings.Repeat("x", 1<<20): "f.yaml:1:1: 1048582 bytes: expected at most 1048576",
		"name: a\nlist: " + strings.Repeat("[", 5000):            "f.yaml:2:22: nested too deeply: expected at most 16 levels",
		"name: a\nlist: " + strings.Repeat("{a: ", 5000):         "f.yaml:2:67: nested too deeply: expected at most 16 levels",
		"name: a\nlist:\n" + strings.Repeat("- ", 5000):          "f.yaml:3:33: nested too deeply: expected at most 16 levels",
		"name: a\n" + strings.Repeat("? ", 5000):                 "f.yaml:2:33: nested too deeply: expected at most 16 levels",
		"name: a\nlist: [\"#\", '" + strings.Repeat("[", 5000):   "f.yaml:2:13: list: not YAML: a text in quotes that does not end: expected another quote; found \"list: [\\\"#\\\", '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"",
		"name: '" + strings.Repeat("[", 40) + "' # [[[[[[[[[[[":  "",
		"name: |\n  " + strings.Repeat("- - ", 40):               "",
		"list: [" + strings.Repeat("{id: a}, ", 40) + "{id: b}]": "",
		deep(15): "f.yaml:2:1: list: expected a list, found fields",
		deep(40): "f.yaml:18:18: nested too deeply: expected at most 16 levels",
	} {
		got := ""
		if _, err := decode(text); err != nil {
			got = err.Error()
			if problems := (claim.Problems)(nil); !errors.As(err, &problems) || problems[0].File != "f.yaml" || problems[0].Line < 1 {
				t.Errorf("%.80q: %v is none of claim.Problems with file and line", text, err)
			}
		}
		if got != want {
			t.Errorf("%.80q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// What is no YAML is told in plain words, with the place, the field that it seems to be in,
// and what stands there.
func TestWhatIsNoYAML(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\n\tcount: 1":                 "f.yaml:2:1: name.count: not YAML: a tab: YAML is indented with spaces; found \"count: 1\"",
		"name: \"a":                           "f.yaml:1:7: name: not YAML: a text in quotes that does not end: expected another quote; found \"name: \\\"a\"",
		"named: {a: 2026-04-01\nname: b":      "not YAML: a { here or above has no }: expected , or } behind each of its fields",
		"list: [{id: a}\nname: b":             "not YAML: a [ here or above has no ]: expected , or ] behind each of its entries",
		"name: a: b":                          "f.yaml:1:7: name: not YAML: a second \": \", or a field that is indented otherwise than those around it: expected name: value, in quotes a value that has \": \" in it; found \"name: a: b\"",
		"name: @a":                            "f.yaml:1:7: name: not YAML: a value that begins with a character that YAML keeps for itself: expected it in quotes; found \"name: @a\"",
		"name: \"\\q\"":                       "f.yaml:1:9: name: not YAML: an unknown escape in a text in double quotes: expected \\\\ for a backslash, or single quotes; found ",
		"name: %a":                            "name: not YAML: a line or value that begins with %: expected it in quotes; found \"name: %a\"",
		"list:\n- id: a\n- id: b\n  id: c: d": "f.yaml:4:7: list[1].id: not YAML: a second \": \"",
		"name: a\ncount 3\nreal: true":        "not YAML: something without a ",
		"name: a\n- b":                        "not YAML: ",
		"name: \"\x1b[31m\xe2\x80\xae":        "found \"name: \\\"\\x1b[31m\\u202e\"",
	} {
		_, err := decode(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f.yaml:") || strings.Contains(err.Error(), "out of place") {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// A column is where the name of a field stands, or an entry of a list.
func TestYAMLColumns(t *testing.T) {
	text := "# a comment\nname: \"a: b\" # and one\n\nlist:\n  - id: a\n    more: |\n      é\n  - {id: b, more: [1, two]}\nlast: {\"quoted\": 1,\n  below: 2}\n"
	lines := strings.Split(text, "\n")
	top, err := claim.ReadYAML("f.yaml", []byte(text), 1000, "a name")
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"name": "name", "list": "list", "list[0]": "id: a", "list[0].id": "id: a", "list[0].more": "more: |", "list[1]": "{id: b",
		"list[1].id": "id: b", "list[1].more": "more: [", "list[1].more[1]": "two", "last": "last", "last.quoted": "\"quoted\"", "last.below": "below"} {
		top.Locate(claim.Problems{{Field: field, Reason: want}})
	}
	all := claim.Problems(nil)
	if !errors.As(top.Err(), &all) || len(all) != 12 {
		t.Fatalf("%v", top.Err())
	}
	for _, p := range all {
		if line := lines[p.Line-1]; p.Column < 1 || p.Column > len(line) || !strings.HasPrefix(line[p.Column-1:], p.Reason) {
			t.Errorf("%v: expected the place of %q", p, p.Reason)
		}
	}
}

// What a check says of what was read stands where its field does, however it says it.
func TestYAMLIsChecked(t *testing.T) {
	const text = "name: a\nlist:\n- id: a\n- {id: b}\n"
	for says, want := range map[string]string{
		"name: \"a\": expected b":       "f.yaml:1:1: name: \"a\": expected b",
		"list[1].id: twice":             "f.yaml:4:4: list[1].id: twice",
		"list[1]: id: twice: two":       "f.yaml:4:4: list[1].id: twice: two",
		"list: [0]: no":                 "f.yaml:3:3: list[0]: no",
		"list[1]: other: expected some": "f.yaml:4:3: list[1]: other: expected some",
		"count: expected one":           "f.yaml: count: expected one",
		"nothing of it fits":            "f.yaml: nothing of it fits",
		": odd":                         "f.yaml: : odd",
	} {
		var w written
		err := claim.DecodeYAML("f.yaml", []byte(text), 100, "a name", &w, func() error { return errors.New(says) })
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", says, err, want)
		}
	}
}

// What a file is all full of takes no more than a page, and no more than so much memory.
func TestYAMLStopsComplaining(t *testing.T) {
	_, err := decode("list:\n" + strings.Repeat("- {x: 1}\n", 20_000))
	problems := claim.Problems(nil)
	if !errors.As(err, &problems) || len(problems) > 1000 || strings.Count(err.Error(), "\n") != 20 || !strings.HasSuffix(err.Error(), "f.yaml: and more problems; mend these first") {
		t.Errorf("%d problems:\n%.2000v", len(problems), err)
	}
}

// What is found wrong only after a file has been read stands where its field does.
func TestYAMLIsLocated(t *testing.T) {
	top, err := claim.ReadYAML("f.yaml", []byte("name: a\nlist:\n- id: a\n\n- id: b\n  more: {deep: [1,\n   2]}\n"), 1000, "a name")
	if err != nil {
		t.Fatal(err)
	}
	for field, line := range map[string]int{"": 1, "name": 1, "list": 2, "list[0].id": 3, "list[1]": 5, "list[1].id": 5, "list[1].gone.below": 5, "list[7].id": 2,
		"list[1].more.deep[1]": 7, "gone": 1, "list[x]": 2, "[0]": 1, "name.below": 1} {
		top.Locate(claim.Problems{{File: "whole", Field: field, Reason: fmt.Sprint(line)}})
	}
	all := claim.Problems(nil)
	if !errors.As(top.Err(), &all) || len(all) != 13 {
		t.Fatalf("%v", top.Err())
	}
	for _, p := range all {
		if fmt.Sprint(p.Line) != p.Reason || p.File != "f.yaml" {
			t.Errorf("%v: expected line %s", p, p.Reason)
		}
	}
}
