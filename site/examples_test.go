package site_test

import (
	"os"
	"testing"

	"bulkhead/site"
)

// load builds the site of an example. The package is pure; its tests need not be.
func load(t testing.TB, name string) (*site.Template, *site.Site) {
	t.Helper()
	file := "../examples/" + name + "/site.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate(file, data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := template.Build()
	if err != nil {
		t.Fatal(err)
	}
	return template, s
}

func TestExamples(t *testing.T) {
	for _, want := range []struct {
		name, counts string
		supplies     map[string]int // sellable by "date class"
	}{
		{"tiny", "512 GPUs in 64 nodes (8 spares), 16 racks, 8 SUs, 5 pods, 4 halls; 72 leaves, 330 spines, 160 cores, 576 edge ports",
			map[string]int{"2026-04-01 H100 on fabric roce": 14, "2026-04-01 H100 on fabric ib": 14,
				"2026-05-25 H200 on fabric roce": 14, "2026-06-24 H200 on fabric roce": 14}},
		{"small", "1024 GPUs in 128 nodes (16 spares), 32 racks, 16 SUs, 12 pods, 10 halls; 144 leaves, 792 spines, 384 cores, 1152 edge ports",
			map[string]int{"2026-04-01 H100 on fabric roce": 42, "2026-04-01 H100 on fabric ib": 14,
				"2026-05-25 H100 on fabric roce": 14, "2026-05-25 H200 on fabric roce": 14, "2026-06-24 H200 on fabric roce": 28}},
		{"colossus", "400000 GPUs in 50000 nodes (784 spares), 6256 racks, 784 SUs, 16 pods, 12 halls; 7056 leaves, 8448 spines, 4096 cores, 450000 edge ports",
			map[string]int{"2026-04-01 H100 on fabric roce": 9228, "2026-04-01 H100 on fabric ib": 3076,
				"2026-05-25 H100 on fabric roce": 6152, "2026-05-25 H200 on fabric roce": 6152, "2026-06-24 H200 on fabric roce": 24608}},
	} {
		t.Run(want.name, func(t *testing.T) {
			_, s := load(t, want.name)
			if got := s.Counts().String(); got != want.counts {
				t.Errorf("counts:\n got %s\nwant %s", got, want.counts)
			}
			sums := map[string]int{}
			for _, row := range s.Supplies() {
				sums[row.InService.Format("2006-01-02")+" "+row.Class.String()] += row.Sellable()
			}
			for class, n := range want.supplies {
				if sums[class] != n {
					t.Errorf("sellable %s: %d, want %d", class, sums[class], n)
				}
				delete(sums, class)
			}
			if len(sums) > 0 {
				t.Errorf("more supply than expected: %v", sums)
			}
		})
	}
}
