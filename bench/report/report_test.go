package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportSaysWhatWasMissed(t *testing.T) {
	dir := t.TempDir()
	plot := Plot{"a.svg", Bars("A < B", "ms & s", []string{"1", "2"}, []Series{{"x", []float64{1, 200}}, {"y", []float64{0, 3}}}, true)}
	r := Report{Size: "small", Sections: []Section{{Title: "T", Body: "text\n", Plots: []Plot{plot}, Bars: []Bar{{"B1", "fast", true, "1 ms", false}, {"B2", "good", false, "bad", false}, {"B6", "full", false, "because", true}}}}}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| B1: fast | met | 1 ms |", "| B2: good | **missed** | bad |", "| B6: full | not reached; the reason is given | because |", "## T\n\ntext\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a.svg")); err != nil {
		t.Error(err)
	}
}

// Plots are XML whatever the names and numbers are.
func TestPlotsAreXML(t *testing.T) {
	for name, svg := range map[string][]byte{
		"bars":        Bars(`<"&>`, "%", []string{"a", "<"}, []Series{{"&", []float64{-1, 5}}}, false),
		"no bars":     Bars("", "", nil, nil, true),
		"zero bars":   Bars("", "", []string{"a"}, []Series{{"s", []float64{0}}}, true),
		"lines":       Lines("t", "u", "<months>", []float64{0, 1, 2}, []Series{{"&", []float64{1, 2, 3}}}),
		"flat lines":  Lines("t", "u", "x", []float64{5}, []Series{{"s", []float64{0}}}),
		"empty lines": Lines("t", "u", "x", []float64{0, 1}, nil),
	} {
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s: a number is none:\n%s", name, svg)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := Number(n); got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
}
