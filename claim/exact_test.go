package claim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"bulkhead/claim"
)

type inner struct {
	Kind  string `json:"kind"`
	Value uint32 `json:"value"`
}

type head struct {
	Node string `json:"node"`
}

type sample struct {
	head
	Name   string            `json:"name"`
	When   time.Time         `json:"when,omitzero"`
	Parts  []inner           `json:"parts"`
	One    *inner            `json:"one,omitempty"`
	Free   json.RawMessage   `json:"free,omitempty"`
	Words  map[string]int    `json:"words,omitempty"`
	Digest claim.Digest      `json:"digest"`
	Maps   map[string]*inner `json:"maps,omitempty"`
	Hidden string            `json:"-"`
	Odd    int               // "Odd"
}

func TestExactReadsInOneWay(t *testing.T) {
	digest := `"digest":"` + claim.DigestOf(nil).String() + `"`
	for _, good := range []string{
		`{}`, ` { "name" : "x" } `, `{"node":"a","name":"b","parts":[{"kind":"x","value":1},{}],"one":null,` + digest + `}`,
		`{"free":{"Any":1,"any":2,"deep":[[[{}]]]},"words":{"A":1,"a":2},"maps":{"x":{"kind":""}}}`, `{"name":"line\nand \"quote\" and é \ud83d\ude00"}`, `{"Odd":1}`,
		`{"when":"2026-05-01T00:00:00Z"}`, `{"parts":null}`,
	} {
		var v, plain sample
		if err := claim.Exact([]byte(good), 1<<20, &v); err != nil {
			t.Errorf("%s: %v", good, err)
		}
		if err := json.Unmarshal([]byte(good), &plain); err != nil || !reflect.DeepEqual(v, plain) {
			t.Errorf("%s: %+v, encoding/json says %+v, %v", good, v, plain, err)
		}
	}
	deep := strings.Repeat("[", claim.MaxDepth+2) + strings.Repeat("]", claim.MaxDepth+2)
	for bad, says := range map[string]string{
		`{"name":1}`:                               "name: expected text in quotes, found number",
		`{"parts":[{"value":"x"}]}`:                "parts.value: expected a whole number, 0 or above, that fits, found string",
		`{"parts":[{"value":-1}]}`:                 "parts.value: expected a whole number, 0 or above, that fits, found number -1",
		`{"parts":{}}`:                             "parts: expected a list, found object",
		`{"one":[]}`:                               "one: expected an object, found array",
		`{"Odd":1.5}`:                              "Odd: expected a whole number that fits, found number 1.5",
		`{"when":"soon"}`:                          `expected a time such as "2026-04-01T07:00:00Z", found "soon"`,
		`{"name":"a","name":"b"}`:                  "twice",
		`{"name":"a","n\u0061me":"b"}`:             "twice",
		`{"Name":"a"}`:                             `spelled "name"`,
		`{"NODE":"a"}`:                             `spelled "node"`,
		"{\"par\u017fs\":[]}":                      "unknown field",
		"{\"part\u017f\":[]}":                      `spelled "parts"`,
		`{"one":{"kind":"a","KIND":"b"}}`:          `spelled "kind"`,
		`{"one":{"kind":"a","kind":"b"}}`:          "twice",
		`{"parts":[{},{"value":1,"value":1}]}`:     "twice",
		`{"free":{"a":1,"a":2}}`:                   "twice",
		`{"free":[{"a":{"b":1,"\u0062":2}}]}`:      "twice",
		`{"words":{"a":1,"a":1}}`:                  "twice",
		`{"maps":{"x":{"Kind":""}}}`:               `spelled "kind"`,
		`{"Hidden":"x"}`:                           "unknown field",
		`{"-":"x"}`:                                "unknown field",
		`{"odd":1}`:                                `spelled "Odd"`,
		`{"head":{"node":"x"}}`:                    "unknown field",
		`{"more":1}`:                               "unknown field",
		`{} {}`:                                    "trailing",
		`{}x`:                                      "trailing",
		`{"free":` + deep + `}`:                    "nested",
		`{"name":"\u001b[2J"}`:                     "control character U+001B",
		"{\"name\":\"\u009b2J\"}":                  "control character U+009B",
		"{\"name\":\"\u202ex\"}":                   "control character U+202E",
		"{\"free\":{\"\u2066\":1}}":                "control character U+2066",
		"{\"name\":\"\xff\"}":                      "UTF-8",
		`{"name":"\ud800`:                          "cut off",
		`{"free":` + strings.Repeat("1", 70) + `}`: "digits",
		`{"name"`:                                  "cut off",
		`{`:                                        "cut off",
		``:                                         "cut off",
		`{"name":}`:                                "value was expected",
		`{"name":"a",}`:                            "key was expected",
	} {
		err := claim.Exact([]byte(bad), 1<<20, new(sample))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, expected one that says %q", bad, err, says)
		}
	}
	many := map[string]int{}
	for i := range 100 {
		many[fmt.Sprint("k", i)] = i
	}
	text, _ := json.Marshal(map[string]any{"words": many})
	if err := claim.Exact(text, 1<<20, new(sample)); err != nil {
		t.Error(err)
	}
	if err := claim.Exact(bytes.Replace(text, []byte(`"k7"`), []byte(`"k70"`), 1), 1<<20, new(sample)); err == nil {
		t.Error("a key of a hundred that is there twice was taken")
	}
}

func TestWeighKnowsWhatDecodingTakes(t *testing.T) {
	shape := claim.ShapeOf[sample]()
	parts := 10_000
	text := []byte(`{"parts":[` + strings.Repeat("{},", parts) + `{}]}`)
	weight, err := shape.Weigh(text)
	if least := int64(parts) * int64(reflect.TypeFor[inner]().Size()); err != nil || weight < least {
		t.Errorf("%d bytes weigh %d, decoded they take at least %d: %v", len(text), weight, least, err)
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = json.Unmarshal(text, new(sample))
		}
	}).AllocedBytesPerOp()
	if allocated > 3*weight {
		t.Errorf("decoding allocates %d bytes, the weight is %d", allocated, weight)
	}
}

// FuzzExact holds Exact against encoding/json: what it takes, that takes too and reads
// alike; what both read comes out as it went in, key for key.
func FuzzExact(f *testing.F) {
	for _, seed := range []string{`{}`, `{"node":"a","name":"b","parts":[{"kind":"x","value":1}]}`, `{"free":{"a":[1,2,{"b":null}]}}`, `{"Name":1}`, `{"name":"\u001b"}`, `[[`, `{"words":{"a":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var exact, plain sample
		if claim.Exact(data, len(data), &exact) != nil {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&plain); err != nil || !reflect.DeepEqual(exact, plain) {
			t.Fatalf("%q: %+v, encoding/json says %+v, %v", data, exact, plain, err)
		}
		if !utf8.Valid(data) {
			t.Fatalf("%q is no UTF-8", data)
		}
		if _, err := decoder.Token(); err != io.EOF {
			t.Fatalf("%q: something follows", data)
		}
	})
}
