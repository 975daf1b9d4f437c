package story

import (
	"fmt"

	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/site"
)

// Sizes maps the sizes of the story to the folders of examples.
var Sizes = map[string]string{"full": "colossus", "small": "small", "tiny": "tiny"}

// LoadParts reads the site and the contracts of a size.
func LoadParts(size string) (Parts, error) {
	folder, ok := Sizes[size]
	if !ok {
		return Parts{}, fmt.Errorf("size %q: expected full, small or tiny", size)
	}
	cast := Parts{Size: size}
	read := func(name string) (string, []byte, error) {
		path := folder + "/" + name
		data, err := examples.Files.ReadFile(path)
		return "examples/" + path, data, err
	}
	path, data, err := read("site.yaml")
	if err != nil {
		return cast, err
	}
	if cast.Site, err = site.ParseTemplate(path, data); err != nil {
		return cast, err
	}
	for name, into := range map[string]**contract.Contract{
		"flagship.yaml": &cast.Flagship, "flagship-amendment.yaml": &cast.Amendment, "tidewater.yaml": &cast.Tidewater, "research.yaml": &cast.Research,
	} {
		path, data, err := read(name)
		if err != nil {
			return cast, err
		}
		if *into, err = contract.Parse(path, data); err != nil {
			return cast, err
		}
	}
	return cast, nil
}
