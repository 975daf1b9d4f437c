package run

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/examples"
	"bulkhead/site"
)

// TestAnEditedFileIsRefusedWhole imports files that would change or take away
// what exists, with something new in each: nothing of them is taken over, and the
// control plane goes on.
func TestAnEditedFileIsRefusedWhole(t *testing.T) {
	ctx := context.Background()
	p, _ := emptyPlane(t)
	if err := p.Import(ctx, grown(t, 0), nil); err != nil {
		t.Fatal(err)
	}
	text, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	edit := func(changes ...string) *site.Template {
		t.Helper()
		edited := bytes.Replace(text, []byte("totals:"), []byte("#"), 1)
		for i := 0; i < len(changes); i += 2 {
			if !bytes.Contains(edited, []byte(changes[i])) {
				t.Fatalf("%q is not in the example", changes[i])
			}
			edited = bytes.Replace(edited, []byte(changes[i]), []byte(changes[i+1]), 1)
		}
		template, err := site.ParseTemplate("edited.yaml", edited)
		if err != nil {
			t.Fatal(err)
		}
		return template
	}
	const d2 = "      - {id: d2, fabric: roce, kind: H200, nodes: 8, sus: 1}\n"
	more := []string{d2, d2 + "      - {id: d3, fabric: roce, kind: H200, nodes: 8, sus: 1}\n"}
	for what, c := range map[string]struct {
		changes []string
		want    string
	}{
		"firmware":                  {append([]string{"firmware: 1.03.18", "firmware: 1.03.19"}, more...), "kind H100: bmc is"},
		"another kind":              {append([]string{"{id: a1, fabric: roce, kind: H100", "{id: a1, fabric: roce, kind: H200"}, more...), "SU a1-su01: kind H100 would become H200"},
		"spares":                    {append([]string{"spares-per-su: 1", "spares-per-su: 2"}, more...), "1 spares would become 2"},
		"a pod is gone":             {[]string{d2, strings.Replace(d2, "d2", "d3", 1)}, "8 nodes of the site are not in the file"},
		"a hall that is in service": {append([]string{"phase: p1\n", "phase: p1\n    in-service: 2026-09-01\n"}, more...), "hall-a has been in service since 2026-04-01"},
	} {
		_, err := p.ImportAs(ctx, CommandID("someone/"+what, nil), edit(c.changes...), nil)
		var refused *book.Refusal
		if !errors.As(err, &refused) || refused.Field == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected a refusal with %q", what, err, c.want)
		}
	}
	// What can be taken over is, and the control plane has lived through the rest.
	r, err := p.ImportAs(ctx, CommandID("someone/dates", nil), edit("{id: p3, in-service: 2026-06-24}", "{id: p3, in-service: 2026-07-15}", "poll: 10m", "poll: 5m"), nil)
	if err != nil || r.Nothing {
		t.Fatalf("newer dates: %+v, %v", r, err)
	}
	if _, err := p.ImportAs(ctx, CommandID("someone/more", nil), edit(append([]string{"{id: p3, in-service: 2026-06-24}", "{id: p3, in-service: 2026-07-15}", "poll: 10m", "poll: 5m"}, more...)...), nil); err != nil {
		t.Fatal(err)
	}
	p.View(func(s *book.State) {
		at, _ := s.Site.HallByID("hall-d")
		if day := s.Site.Halls[at].InService; s.Site.Nodes() != 72 || s.Policy.Poll != 5*time.Minute || !day.Equal(time.Date(2026, 7, 15, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%d nodes, poll %s, hall-d in service %s", s.Site.Nodes(), s.Policy.Poll, day)
		}
	})
}
