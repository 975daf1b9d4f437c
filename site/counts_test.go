package site

import "fmt"

// DecodeNode reads the canonical bytes of one node of an inventory, such as a
// tenant gets of its own nodes. It checks the form only: where the node stands
// is for its SU's inventory to say.
func DecodeNode(data []byte) (*NodeInventory, error) {
	n := new(NodeInventory)
	if err := decode(data, n.code); err != nil {
		return nil, fmt.Errorf("node inventory: %w", err)
	}
	return n, nil
}

// Counts is how much of everything a site has.
type Counts struct {
	GPUs, Nodes, Spares, Racks, SUs, Pods, Halls int
	Leaves, Spines, Cores                        int // switches; frontend leaves and spines included
	Ports                                        int // edge ports
}

func (c Counts) String() string {
	return fmt.Sprintf("%d GPUs in %d nodes (%d spares), %d racks, %d SUs, %d pods, %d halls; %d leaves, %d spines, %d cores, %d edge ports",
		c.GPUs, c.Nodes, c.Spares, c.Racks, c.SUs, c.Pods, c.Halls, c.Leaves, c.Spines, c.Cores, c.Ports)
}

// Counts counts the whole site, retired nodes included.
func (s *Site) Counts() Counts {
	c := Counts{Nodes: s.Nodes(), GPUs: s.GPUs(), SUs: len(s.SUs), Pods: len(s.Pods), Halls: len(s.Halls),
		Leaves: s.Switches(), Ports: s.EdgePorts()}
	for i := range s.SUs {
		c.Spares += s.SUs[i].Spares
		c.Racks += (len(s.SUs[i].Nodes) + s.RackNodes - 1) / s.RackNodes
	}
	for _, p := range s.Planes() {
		c.Spines += p.Spines
		c.Cores += p.Cores
	}
	return c
}

// Planes returns the planes of all pods, one a rail of its fabric and the
// frontend's, in the order of pods.
func (s *Site) Planes() []Plane {
	planes := make([]Plane, 0, len(s.Pods)*NICs)
	rails := make([]int, len(s.Fabrics))
	for i := range rails {
		rails[i] = s.FabricRails(i)
	}
	for _, pod := range s.Pods {
		for _, nic := range NICNumbers(rails[pod.Fabric]) {
			fabric := pod.Fabric
			if nic == Frontend {
				fabric = s.frontend
			}
			planes = append(planes, s.Shape.plane(pod.ID, nic, s.Fabrics[fabric].ID))
		}
	}
	return planes
}
