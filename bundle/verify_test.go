package bundle_test

import (
	"bytes"
	"strings"
	"testing"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
)

var owner = bundletest.NewOwner(bundletest.Site, "owner")

func write(t testing.TB, in bundle.Input) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := bundle.Write(&out, in); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func verify(data []byte, policy *bundle.Policy, opts bundle.Options) (*bundle.Report, error) {
	return bundle.Verify(bytes.NewReader(data), int64(len(data)), policy, opts)
}

func TestTrueLogIsProven(t *testing.T) {
	for name, tell := range map[string]func(*bundletest.Owner) *bundletest.Story{"small": bundletest.Small, "whole": bundletest.Whole} {
		t.Run(name, func(t *testing.T) {
			report, err := verify(write(t, tell(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if err != nil {
				var text strings.Builder
				if report != nil {
					_ = report.WriteText(&text)
				}
				t.Fatalf("%v\n%s", err, text.String())
			}
			var text strings.Builder
			if err := report.WriteText(&text); err != nil || !report.Proven {
				t.Fatal(err)
			}
			t.Log(text.String())
		})
	}
}
