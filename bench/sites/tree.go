// Package sites is what every contender plays on: the site as a
// tree, who holds which node, and what is asked. All of it follows from a seed,
// is written to files once, and is read from these files by every contender, so
// that they are given the same bytes.
//
// It knows no scheduler, and nothing of Bulkhead.
package sites

import (
	"encoding/json"
	"fmt"
)

// Tree is a site: nodes are numbered 0 to Nodes()-1 in the order of halls, pods,
// SUs, racks and positions, so that neighbours by number are neighbours by cable.
type Tree struct {
	Name  string `json:"name"`
	Shape Shape  `json:"shape"`
	Halls []Hall `json:"halls"`

	// Hall, Pod, SU and Rack number the domain of every node, over the site.
	Hall, Pod, SU, Rack []int32 `json:"-"`
}

// Shape is what a rail-optimised site of 8 GPUs a node is built of. An SU is
// under one leaf a rail plane.
type Shape struct {
	Rails      int `json:"rails"`       // rail planes: links a node
	RackNodes  int `json:"rack_nodes"`  // nodes a rack
	SUNodes    int `json:"su_nodes"`    // node positions an SU
	PodSUs     int `json:"pod_sus"`     // SUs that a pod has room for
	LeafUp     int `json:"leaf_up"`     // uplinks a leaf, one to each spine of its plane
	LinkGbps   int `json:"link_gbps"`   // of every link
	PodTaper   int `json:"pod_taper"`   // oversubscription above a pod, N to 1
	MessageB   int `json:"message_b"`   // bytes from every GPU to every other in an all-to-all
	NodeGPUs   int `json:"node_gpus"`   // GPUs a node
	CoresPlane int `json:"cores_plane"` // cores a pod and plane
}

// Hall is the pods of a hall; Pod is the number of nodes of each of its SUs.
type (
	Hall []Pod
	Pod  []int
)

// Nodes returns how many nodes the site has.
func (t *Tree) Nodes() int { return len(t.SU) }

// Count returns how many halls, pods, SUs and racks the site has.
func (t *Tree) Count() (halls, pods, sus, racks int) {
	last := t.Nodes() - 1
	return int(t.Hall[last]) + 1, int(t.Pod[last]) + 1, int(t.SU[last]) + 1, int(t.Rack[last]) + 1
}

// index fills in the domains of every node.
func (t *Tree) index() error {
	if t.Shape.RackNodes < 1 || t.Shape.LeafUp < 1 || t.Shape.Rails < 1 || t.Shape.LinkGbps < 1 || t.Shape.PodTaper < 1 || t.Shape.PodSUs < 1 {
		return fmt.Errorf("tree %s: shape %+v, expected positive numbers", t.Name, t.Shape)
	}
	var pod, su, rack int32
	for h, hall := range t.Halls {
		for _, p := range hall {
			for _, nodes := range p {
				if nodes < 1 || nodes > t.Shape.SUNodes {
					return fmt.Errorf("tree %s: an SU of %d nodes, expected 1 to %d", t.Name, nodes, t.Shape.SUNodes)
				}
				for n := range nodes {
					if n > 0 && n%t.Shape.RackNodes == 0 {
						rack++
					}
					t.Hall, t.Pod = append(t.Hall, int32(h)), append(t.Pod, pod)
					t.SU, t.Rack = append(t.SU, su), append(t.Rack, rack)
				}
				su++
				rack++
			}
			pod++
		}
	}
	if len(t.SU) == 0 {
		return fmt.Errorf("tree %s: no nodes", t.Name)
	}
	return nil
}

// NewTree returns a site of halls with pods of podNodes nodes each, in SUs of 64
// and one smaller SU with the rest.
func NewTree(name string, halls, pods, podNodes int) *Tree {
	t := &Tree{Name: name, Shape: Shape{Rails: 8, RackNodes: 8, SUNodes: 64, PodSUs: 64, LeafUp: 64,
		LinkGbps: 400, PodTaper: 1, MessageB: 4096, NodeGPUs: 8, CoresPlane: 32}}
	for range halls {
		var hall Hall
		for range pods {
			var p Pod
			for left := podNodes; left > 0; left -= t.Shape.SUNodes {
				p = append(p, min(left, t.Shape.SUNodes))
			}
			hall = append(hall, p)
		}
		t.Halls = append(t.Halls, hall)
	}
	if err := t.index(); err != nil {
		panic(err)
	}
	return t
}

// Encode writes the tree as JSON.
func (t *Tree) Encode() []byte {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}

// DecodeTree reads what Encode wrote.
func DecodeTree(data []byte) (*Tree, error) {
	t := &Tree{}
	if err := json.Unmarshal(data, t); err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	return t, t.index()
}
