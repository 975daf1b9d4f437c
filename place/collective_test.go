package place

import (
	"slices"
	"testing"

	"bulkhead/site"
)

func TestCollectiveBounds(t *testing.T) {
	shape := site.Shape{SUNodes: 64, Spines: 64, PodSUs: 64, LinkGbps: 400, PodTaper: 2}
	// 2 nodes: 2 * 1/2 * 2^30 bytes at 8 * 400 Gb/s.
	if got := allReduceNS(shape, 8, 2); got != 1<<30/400 {
		t.Errorf("all-reduce of two nodes: %d ns", got)
	}
	if got := allReduceNS(shape, 8, 1); got != 0 {
		t.Errorf("all-reduce of one node: %d ns", got)
	}
	for _, row := range []struct {
		name  string
		d     spread
		ns    int64
		limit string
	}{
		{"one node", spread{1, []int{1}, []int{1}}, 0, ""},
		// 8 GPUs send 8*8 messages of 32,768 bits at 3,200 Gb/s.
		{"two nodes of an SU", spread{2, []int{2}, []int{2}}, 8 * 8 * 32768 / 3200, "node"},
		// 8 GPUs of a node against 127*8 others: an SU's uplinks have no taper,
		// half of the traffic stays inside.
		{"two SUs", spread{128, []int{64, 64}, []int{128}}, 8 * 127 * 8 * 32768 / 3200, "node"},
		// 4096 nodes a pod, two pods: 32768 GPUs each way over 4096*3200/2 Gb/s.
		{"two pods", spread{8192, slices.Repeat([]int{64}, 128), []int{4096, 4096}}, 32768 * 32768 * 32768 * 2 / (4096 * 3200), "pod"},
	} {
		if ns, limit := allToAllNS(shape, 8, row.d); ns != row.ns || limit != row.limit {
			t.Errorf("%s: %d ns by %q, expected %d by %q", row.name, ns, limit, row.ns, row.limit)
		}
	}
	tapered := shape
	tapered.Spines = 16 // leaves 4:1
	if ns, limit := allToAllNS(tapered, 8, spread{128, []int{64, 64}, []int{128}}); ns != 512*512*32768/(16*3200) || limit != "SU" {
		t.Errorf("tapered leaves: %d ns by %q", ns, limit)
	}
	shape.LinkGbps, shape.Spines, shape.PodSUs, shape.PodTaper = 1, 1, 1, 1000
	if ns, _ := allToAllNS(shape, 8, spread{1 << 20, nil, []int{1 << 19, 1 << 19}}); ns <= 0 {
		t.Errorf("the largest site overflows: %d ns", ns)
	}
}
