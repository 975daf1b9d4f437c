package draft_test

import (
	"testing"

	"bulkhead/examples"
	"bulkhead/site"
	"bulkhead/site/draft"
)

// TestADraftKeepsTheKindsOfItsModel: a site drafted like one of trays of 4 GPUs in racks
// that are NVLink domains has such trays and racks.
func TestADraftKeepsTheKindsOfItsModel(t *testing.T) {
	data, err := examples.Files.ReadFile("nvl72/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	model, err := site.ParseTemplate("nvl72", data)
	if err != nil {
		t.Fatal(err)
	}
	like := model.Header()
	d := draft.Draft{From: "test", Fabrics: []draft.Fabric{{Name: "f"}}, Halls: []draft.Hall{{Name: "h", Pods: []draft.Pod{{Name: "p", Units: []draft.Unit{{Name: "u", Hosts: []string{"a", "b", "c"}}}}}}}}
	text, err := d.SiteFile(draft.Options{Name: "drafted", Like: &like})
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("drafted", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if kinds := template.Header().Kinds; kinds[0] != like.Kinds[0] || template.GPUs() != 12 {
		t.Errorf("%+v\nexpected %+v", kinds, like.Kinds)
	}
}
