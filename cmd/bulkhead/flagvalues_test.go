package main

import (
	"strings"
	"testing"
)

// What is wrong with the value of a flag is told in words of ours.
func TestFlagValuesInPlainWords(t *testing.T) {
	for line, want := range map[string]string{
		"advance soon":                                   `<by>: "soon": expected a duration such as 15m or 36h`,
		"quote --validity 3days x.yaml":                  `--validity: "3days": expected a duration such as 15m or 36h`,
		"site import --rack-nodes many --format sonic x": `--rack-nodes: "many": expected a whole number that fits`,
		"site import --rack-nodes 1.5 --format sonic x":  `--rack-nodes: "1.5": expected a whole number that fits`,
		"site show --min-entry=-1":                       `--min-entry: "-1": expected a whole number, 0 or above`,
		"site spares --su-short few":                     `--su-short: "few": expected a number such as 0.05`,
	} {
		var stderr strings.Builder
		if code := command(strings.Fields(line), &stderr); code != exitUsage || !strings.HasPrefix(stderr.String(), "bulkhead: "+want+"\n") {
			t.Errorf("%s: %d, %s\nwant %s", line, code, stderr.String(), want)
		}
	}
}
