package dated

import (
	"fmt"
	"time"
)

// A schedule is driven like this: plan, commit, let time pass, take notice.
func Example() {
	site := grow(8, 64, 1, plot{on(0), [][]int{{64, 64}}}, plot{on(60), [][]int{{64, 64, 64}}})
	s := New(site, on(0), nil)

	p, err := s.Plan(Ask{
		Ramp: "flagship", Fabric: "roce", Kind: "H100", Links: "shared", End: on(900),
		Steps: []Step{{ID: "flagship/t1", Nodes: 100, Begin: on(10)}, {ID: "flagship/t2", Nodes: 150, Begin: on(60)}},
	})
	if err != nil {
		fmt.Println(err) // a *ShortError says why, and from when
		return
	}
	for _, prefix := range p.Prefixes {
		fmt.Printf("from %s: %d nodes in %s\n", prefix.Begin.Format(time.DateOnly), len(prefix.Slice.Nodes), Spread(prefix.Slice.Certificate.Cost))
	}
	if err := s.Commit(p); err != nil {
		fmt.Println(err)
		return
	}

	_, err = s.Plan(Ask{Fabric: "roce", Kind: "H100", Links: "shared", End: on(400), Steps: []Step{{ID: "late", Nodes: 100, Begin: on(30)}}})
	fmt.Println(err)

	s.Advance(on(100))                // t1 and t2 run now, and stay where they are
	s.End("flagship/t2", on(190))     // a notice
	fmt.Println(len(s.Improve()) > 0) // nothing waits that could be better
	// Output:
	// from 2026-04-11: 100 nodes in 1 hall, 1 pod, 2 SUs, 13 racks
	// from 2026-05-31: 250 nodes in 2 halls, 2 pods, 4 SUs, 32 racks
	// 100 nodes (800 GPUs) of H100 on fabric roce can't be promised from 2026-05-01 to 2027-05-06: on 2026-05-01 only 26 nodes (208 GPUs) can be promised, 74 nodes (592 GPUs) too few; all of it is there from 2028-09-17, in 1 hall, 1 pod, 2 SUs, 13 racks, and 26 nodes (208 GPUs) from 2026-05-01 already
	// false
}
