package ibnet

import (
	"bytes"
	"strings"
	"testing"

	"bulkhead/examples"
	"bulkhead/site"
)

// A site's topology has every HCA and leaf of its inventory, and each cable from
// both ends.
func TestWriteSite(t *testing.T) {
	data, err := examples.Files.ReadFile("rivals-ib/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("site.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	var units []*site.SUInventory
	if _, err := template.Compile(func(u *site.SUInventory) error { units = append(units, u); return nil }); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteSite(&b, units, "ib"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	// 16 leaves, 16 spines, 2 top switches; 128 HCAs, the manager's host and a canary.
	if switches, hosts := strings.Count(text, "switchguid="), strings.Count(text, "caguid="); switches != 34 || hosts != 130 {
		t.Errorf("%d switches and %d hosts", switches, hosts)
	}
	cables := map[string]bool{}
	var name string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Switch ") || strings.HasPrefix(line, "Ca ") {
			name = strings.Split(line, `"`)[1]
		}
		if strings.HasPrefix(line, "[") {
			port, rest, _ := strings.Cut(line[1:], "] ")
			peer := strings.Split(rest, `"`)
			cables[name+"["+port+"] "+peer[1]+peer[2]] = true
		}
	}
	for c := range cables {
		a, b, _ := strings.Cut(c, " ")
		if !cables[b+" "+a] {
			t.Errorf("the cable %s is not there from its other end", c)
		}
	}
	if err := WriteSite(&b, units, "none"); err == nil {
		t.Error("a fabric that the site does not have was written")
	}
}
