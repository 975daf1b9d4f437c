package site_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bulkhead/site"
)

// The grace of silent nodes is younger than policies: those from before it read as the
// default and keep their bytes, and no policy has two encodings.
func TestThePolicyHasOneEncoding(t *testing.T) {
	p := site.DefaultPolicy()
	if p.SilenceGrace != 5*time.Minute {
		t.Errorf("the default is %s", p.SilenceGrace)
	}
	old, err := json.Marshal(p)
	if err != nil || strings.Contains(string(old), "silence-grace") {
		t.Fatalf("%s (%v): the default is written out", old, err)
	}
	var read site.Policy
	if err := json.Unmarshal(old, &read); err != nil || read != p {
		t.Errorf("%+v (%v), expected %+v", read, err, p)
	}
	p.SilenceGrace = 7 * time.Minute
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil || read != p {
		t.Errorf("%+v (%v), expected %+v", read, err, p)
	}
	for wrong, says := range map[string]string{
		`"silence-grace":"5m0s"`: "leave it out", `"silence-grace":"0s"`: "out of range", `"silence-grace":"25h"`: "out of range", `"silence-grace":7`: "expected a duration",
		`"silent-grace":"7m0s"`: "unknown field",
	} {
		err := json.Unmarshal([]byte(strings.Replace(string(text), `"silence-grace":"7m0s"`, wrong, 1)), &read)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	found := false
	for _, row := range p.Rows() {
		found = found || row == [2]string{"silence-grace", "7m0s"}
	}
	if !found {
		t.Errorf("it is not shown: %v", p.Rows())
	}
}
