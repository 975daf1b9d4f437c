package place_test

import (
	"fmt"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// The twelve nodes of the package's comment.
func Example() {
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
	}})
	o := place.NewOccupancy(s)
	o.Take(site.SetOf(0)) // somebody has the first node

	for _, nodes := range []int{3, 7, 5} {
		slice, err := solve.On(o, place.Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Shared})
		if err != nil {
			fmt.Println(err)
			return
		}
		c := slice.Certificate
		fmt.Printf("%d nodes: %s, gap %s, checked: %v\n", nodes, c.Cost, c.Gap, check.On(o, slice) == nil)
	}

	slice, err := solve.On(o, place.Ask{Nodes: 5, Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
	if err != nil {
		fmt.Println(err)
		return
	}
	links := slice.Certificate.Links
	fmt.Printf("5 nodes, hermetic: %s, whole %v, the smaller leaf in %s\n", slice.Certificate.Cost, links.WholeSUs(), links.RestSU)
	fmt.Println("committed:", o.Commit(slice) == nil)

	_, err = solve.On(o, place.Ask{Nodes: 12, Fabric: "roce", Kind: "H100", Links: lease.Shared})
	fmt.Println(err)
	// Output:
	// 3 nodes: 1/1/1/2, gap 0/0/0/0, checked: true
	// 7 nodes: 1/1/2/4, gap 0/0/0/0, checked: true
	// 5 nodes: 1/1/2/3, gap 0/0/0/0, checked: true
	// 5 nodes, hermetic: 1/1/2/3, whole [p0-su1], the smaller leaf in p0-su0
	// committed: true
	// 12 nodes of H100 on fabric roce do not fit: 6 free, 6 too few
}
