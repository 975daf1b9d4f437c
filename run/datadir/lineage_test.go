package datadir

import "testing"

// FuzzLineageFile: what is not a lineage is refused, and what is comes back as it was.
func FuzzLineageFile(f *testing.F) {
	f.Add([]byte(`{"epoch":1,"lineage":"0a"}`))
	f.Add([]byte(`{"epoch":1,"lineage":"0a","seen":{"epoch":2,"lineage":"0b"}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"epoch":1,"lineage":"x"} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		own, err := decodeLineage(data)
		if err != nil {
			return
		}
		d := Dir(t.TempDir())
		if err := d.writeLineage(own); err != nil {
			t.Fatal(err)
		}
		if back, err := d.ReadLineage(); err != nil || back != own {
			t.Errorf("%q: %v came back as %v, %v", data, own, back, err)
		}
	})
}
