package hostlist

import (
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	for list, want := range map[string]string{
		"n1":                 "n1",
		"n[1-3,07-12]":       "n1 n2 n3 n07 n08 n09 n10 n11 n12",
		"n[098-101]":         "n098 n099 n100 n101",
		"a,b[2],c.d-e_f":     "a b2 c.d-e_f",
		"r[1-2]n[01-02]-ib0": "r1n01-ib0 r1n02-ib0 r2n01-ib0 r2n02-ib0",
		"n[9-10]":            "n9 n10",
		" a , b[1, 3] ":      "a b1 b3",
		"x[5,1,5]":           "x5 x1 x5",
	} {
		got, err := Expand(list, 100)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %v, %v; expected %s", list, got, err, want)
		}
	}
	for _, list := range []string{"", ",", "a,", "n[", "n]", "n[]", "n[1", "n[1-]", "n[3-1]", "n[100-99]", "n[1[2]]", "n[a-b]", "n[-1]", "a b",
		"n[0-99999999999]", "n[1-3]]", strings.Repeat("x", 300), "n[1-101]"} {
		if got, err := Expand(list, 100); err == nil {
			t.Errorf("%q reads as %v", list, got)
		}
	}
}

func TestFold(t *testing.T) {
	for names, want := range map[string]string{
		"n1":                  "n1",
		"n1 n2 n3":            "n[1-3]",
		"n01 n02 n5 n07 n08":  "n[01-02],n5,n[07-08]",
		"n8 n9 n10 n99 n100":  "n[8-10,99-100]",
		"n09 n10 n11 n100":    "n[09-11],n100",
		"n3 n1 n2":            "n[3,1-2]",
		"a b":                 "a,b",
		"n9 n10 n11":          "n[9-11]",
		"a-n01 a-n02 b-n01":   "a-n[01-02],b-n01",
		"x1234567890 x1 x2 5": "x1234567890,x[1-2],5",
	} {
		if got := Fold(strings.Fields(names)); got != want {
			t.Errorf("%s: %s, expected %s", names, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"n[1-3,07-12]", "a,b", "r[1-2]n[01-02]x", "n[", "[1-2][3-4]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		names, err := Expand(list, 1000)
		if err != nil {
			return
		}
		again, err := Expand(Fold(names), 1000)
		if err != nil || !slices.Equal(names, again) {
			t.Fatalf("%q -> %q -> %q: %q, %v", list, names, Fold(names), again, err)
		}
	})
}
