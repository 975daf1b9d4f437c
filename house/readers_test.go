package house

import (
	"regexp"
	"strings"
	"testing"
)

// yamlUsers lists files beside claim's that use the library of YAML, with the reason.
var yamlUsers = map[string]string{
	"bundle/policy.go":  "writes policies, and reads none with it",
	"reckoning/file.go": "a second opinion, for tests, that shares no code with the first",
}

// TestOneReaderOfYAML: a file that a person wrote is refused by the same rules wherever
// it is read, in the same words, with file, line and field.
func TestOneReaderOfYAML(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || room(s.dir) == "bench" || s.path == "claim/yaml.go" || yamlUsers[s.path] != "" {
			continue
		}
		for _, i := range s.imports {
			if strings.Contains(strings.ToLower(i), "yaml") {
				t.Errorf("%s imports %s: read YAML with claim.DecodeYAML, or claim.ReadYAML where what it means depends on more than its form", s.path, i)
			}
		}
	}
}

var (
	lenientJSON = regexp.MustCompile(`\bjson\.(Unmarshal|NewDecoder)\(`)
	says        = regexp.MustCompile(`^\s*// Lenient JSON: \S`)
	saysOfAll   = regexp.MustCompile(`(?m)^// Lenient JSON in this file: \S`)
)

// unexplained are the lines, from 1, in which a text reads JSON with encoding/json alone
// and nobody says why, in the line above or of the whole file.
func unexplained(text string) (lines []int) {
	if saysOfAll.MatchString(text) {
		return nil
	}
	all := strings.Split(text, "\n")
	for i, line := range all {
		code, _, _ := strings.Cut(line, "//")
		if lenientJSON.MatchString(code) && (i == 0 || !says.MatchString(all[i-1])) {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// TestOneDecoderOfJSON: JSON that two readers could read in two ways is refused, by one
// decoder. Who reads what others write, or wrote, and takes what it does not know, says so.
func TestOneDecoderOfJSON(t *testing.T) {
	readers := 0
	for _, s := range sources(t) {
		if s.test || room(s.dir) == "bench" || s.path == "claim/exact.go" {
			continue
		}
		if strings.Contains(s.text, "claim.Exact(") {
			readers++
		}
		if strings.Contains(s.text, ".DisallowUnknown"+"Fields()") && s.dir != "place" {
			t.Errorf("%s refuses unknown fields its own way: claim.Exact also refuses what stands twice, what is spelled in other cases and what is too large", s.path)
		}
		for _, line := range unexplained(s.text) {
			t.Errorf("%s:%d reads JSON with encoding/json alone, which takes unknown fields, other cases and the last of two: use claim.Exact, or say in the line above why not: // Lenient JSON: ... (of a file that reads another program's output: // Lenient JSON in this file: ...)", s.path, line)
		}
	}
	if readers < 10 {
		t.Errorf("only %d files use claim.Exact", readers)
	}
}

// The rule looks at every call of a file, and at nothing but calls.
func TestEveryLenientDecoderIsSeen(t *testing.T) {
	text := strings.Join([]string{
		"	// Lenient JSON: others write it",
		"	json.Unmarshal(a, &b)",
		"	json.Unmarshal(a, &b)",
		"	// json.Unmarshal(a, &b)",
		"	// Lenient JSON:",
		"	if err := json.NewDecoder(r).Decode(&b); err != nil { // so",
		"	myjson.Unmarshal(a, &b)",
	}, "\n")
	if got := unexplained(text); len(got) != 2 || got[0] != 3 || got[1] != 6 {
		t.Errorf("lines %v, expected 3 and 6", got)
	}
	if got := unexplained("// Lenient JSON in this file: of another program\n" + text); len(got) != 0 {
		t.Errorf("lines %v of a file that explains itself", got)
	}
}
