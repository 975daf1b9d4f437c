package kueue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	scheduler "sigs.k8s.io/kueue/pkg/cache/scheduler"
	"sigs.k8s.io/kueue/pkg/resources"
	tas "sigs.k8s.io/kueue/pkg/util/tas"

	"bulkhead/bench/sites"
)

// OccupyAll lists all nodes but the failed ones, with no capacity left on those
// that a tenant has: a replacement wants to know the nodes that stay.
func (k *Kueue) OccupyAll(o *sites.Occupancy) {
	k.cluster.nodes = k.cluster.nodes[:0]
	for n, h := range o.Holder {
		if h == sites.Failed {
			continue
		}
		node := k.all[n]
		if h != sites.Free {
			node.Status.Allocatable = corev1.ResourceList{}
		}
		k.cluster.nodes = append(k.cluster.nodes, node)
	}
}

// Replace asks for another node in the place of a failed one of a lease (Kueue's
// feature TASFailedNodeReplacement, on by default). It returns the nodes of the
// lease as they are then, and what the search took without the snapshot.
func (k *Kueue) Replace(lease []int32, failed int32) ([]int32, time.Duration, error) {
	snapshot, err := k.cache.Snapshot(context.Background())
	if err != nil {
		return nil, 0, fmt.Errorf("kueue: snapshot: %w", err)
	}
	assignment := &tas.TopologyAssignment{Levels: []string{corev1.LabelHostname}}
	for _, n := range lease {
		assignment.Domains = append(assignment.Domains, tas.TopologyDomainAssignment{Values: []string{k.all[n].Name}, Count: 1})
	}
	w := &kueue.Workload{}
	w.Status.Admission = &kueue.Admission{ClusterQueue: queue, PodSetAssignments: []kueue.PodSetAssignment{{Name: podSet, TopologyAssignment: tas.V1Beta2From(assignment)}}}
	w.Status.UnhealthyNodes = []kueue.UnhealthyNode{{Name: k.all[failed].Name}}
	closest := labelRack
	request := scheduler.TASPodSetRequests{
		PodSet:            &kueue.PodSet{Name: podSet, Count: int32(len(lease)), TopologyRequest: &kueue.PodSetTopologyRequest{Preferred: &closest}},
		SinglePodRequests: resources.Requests{corev1.ResourceCPU: 8000},
		Count:             int32(len(lease)), Flavor: flavor,
	}
	begin := time.Now()
	found := snapshot.ClusterQueue(queue).TASFlavors[flavor].FindTopologyAssignmentsForFlavor(scheduler.FlavorTASRequests{request}, scheduler.WithWorkload(w))
	took := time.Since(begin)
	if why := found.Failure(); why != nil {
		return nil, took, fmt.Errorf("kueue: %s", why.Reason)
	}
	var out []int32
	for _, domain := range found[podSet].TopologyAssignment.Domains {
		n, err := strconv.ParseInt(domain.Values[len(domain.Values)-1][1:], 10, 32)
		if err != nil {
			return nil, took, fmt.Errorf("kueue: node %q", domain.Values)
		}
		out = append(out, int32(n))
	}
	return out, took, nil
}
