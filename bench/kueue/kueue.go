// Package kueue runs Kueue's topology-aware scheduling, v0.15.0, as a library in this
// process. Its cache is filled through its exported API by a stub of the Kubernetes
// client; then comes the search for one pod set of a pod a node. No API server, no etcd,
// no admission, no pods.
//
// What is inside its figures: Search is FindTopologyAssignmentsForFlavor alone;
// Whole adds the snapshot of the cache that Kueue takes once a scheduling cycle.
// Nodes that are taken are left out of the list of nodes, as unschedulable ones
// are: cheaper for it than running workloads would be.
package kueue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	scheduler "sigs.k8s.io/kueue/pkg/cache/scheduler"
	"sigs.k8s.io/kueue/pkg/resources"

	"bulkhead/bench/sites"
)

// The labels of the levels, top down; the last is a node's own.
const (
	labelHall = "bench/hall"
	labelPod  = "bench/pod"
	labelSU   = "bench/su"
	labelRack = "bench/rack"
	labelPool = "bench/pool"

	flavor = kueue.ResourceFlavorReference("nodes")
	queue  = kueue.ClusterQueueReference("leases")
	podSet = kueue.PodSetReference("main")
)

// Kueue is its cache with the nodes of a site.
type Kueue struct {
	all     []corev1.Node
	cluster *cluster
	cache   *scheduler.Cache
}

// New fills a cache with a site.
func New(t *sites.Tree) (*Kueue, error) {
	k := &Kueue{all: nodes(t), cluster: &cluster{}}
	k.cache = scheduler.New(k.cluster)
	quiet := logr.Discard()
	log.SetLogger(quiet)
	levels := []kueue.TopologyLevel{{NodeLabel: labelHall}, {NodeLabel: labelPod}, {NodeLabel: labelSU}, {NodeLabel: labelRack}, {NodeLabel: corev1.LabelHostname}}
	k.cache.AddOrUpdateTopology(quiet, &kueue.Topology{ObjectMeta: metav1.ObjectMeta{Name: "site"}, Spec: kueue.TopologySpec{Levels: levels}})
	topology := kueue.TopologyReference("site")
	k.cache.AddOrUpdateResourceFlavor(quiet, &kueue.ResourceFlavor{ObjectMeta: metav1.ObjectMeta{Name: string(flavor)},
		Spec: kueue.ResourceFlavorSpec{NodeLabels: map[string]string{labelPool: "all"}, TopologyName: &topology}})
	quota := kueue.ResourceQuota{Name: corev1.ResourceCPU, NominalQuota: *resource.NewQuantity(int64(8*t.Nodes()), resource.DecimalSI)}
	err := k.cache.AddClusterQueue(context.Background(), &kueue.ClusterQueue{ObjectMeta: metav1.ObjectMeta{Name: string(queue)},
		Spec: kueue.ClusterQueueSpec{ResourceGroups: []kueue.ResourceGroup{{CoveredResources: []corev1.ResourceName{corev1.ResourceCPU},
			Flavors: []kueue.FlavorQuotas{{Name: flavor, Resources: []kueue.ResourceQuota{quota}}}}}}})
	if err != nil {
		return nil, fmt.Errorf("kueue: %w", err)
	}
	return k, k.Occupy(&sites.Occupancy{Holder: make([]int32, t.Nodes())})
}

// nodes are the site's nodes as Kubernetes knows them, named by number.
func nodes(t *sites.Tree) []corev1.Node {
	out := make([]corev1.Node, t.Nodes())
	name := func(prefix string, n int32) string { return fmt.Sprintf("%s%05d", prefix, n) }
	for n := range out {
		host := name("n", int32(n))
		out[n] = corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: host, Labels: map[string]string{labelPool: "all", corev1.LabelHostname: host,
				labelHall: name("h", t.Hall[n]), labelPod: name("p", t.Pod[n]), labelSU: name("s", t.SU[n]), labelRack: name("r", t.Rack[n])}},
			Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: *resource.NewQuantity(8, resource.DecimalSI), corev1.ResourcePods: *resource.NewQuantity(110, resource.DecimalSI)}},
		}
	}
	return out
}

// Name is what it is called in the report.
func (k *Kueue) Name() string { return "Kueue" }

// Version is the version of the module that this program was built with.
func (k *Kueue) Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "sigs.k8s.io/kueue" {
				return "kueue " + m.Version
			}
		}
	}
	return "kueue of an unknown version"
}

// Close has nothing to end.
func (k *Kueue) Close() error { return nil }

// Occupy makes exactly the nodes of an occupancy unschedulable.
func (k *Kueue) Occupy(o *sites.Occupancy) error {
	k.cluster.nodes = k.cluster.nodes[:0]
	for n, h := range o.Holder {
		if h == sites.Free {
			k.cluster.nodes = append(k.cluster.nodes, k.all[n])
		}
	}
	return nil
}

// Place asks for a pod set of a pod a node, as close together as can be: in one
// rack, else SU, pod, hall, else over halls.
func (k *Kueue) Place(nodes int) (sites.Decision, error) {
	begin := time.Now()
	snapshot, err := k.cache.Snapshot(context.Background())
	if err != nil {
		return sites.Decision{}, fmt.Errorf("kueue: snapshot: %w", err)
	}
	cq := snapshot.ClusterQueue(queue)
	if cq == nil || cq.TASFlavors[flavor] == nil {
		return sites.Decision{}, errors.New("kueue: the cluster queue is not active")
	}
	closest := labelRack
	request := scheduler.TASPodSetRequests{
		PodSet:            &kueue.PodSet{Name: podSet, Count: int32(nodes), TopologyRequest: &kueue.PodSetTopologyRequest{Preferred: &closest}},
		SinglePodRequests: resources.Requests{corev1.ResourceCPU: 8000},
		Count:             int32(nodes), Flavor: flavor,
	}
	search := time.Now()
	found := cq.TASFlavors[flavor].FindTopologyAssignmentsForFlavor(scheduler.FlavorTASRequests{request})
	end := time.Now()
	if why := found.Failure(); why != nil {
		return sites.Decision{}, fmt.Errorf("kueue: %s", why.Reason)
	}
	d := sites.Decision{Search: end.Sub(search), Whole: end.Sub(begin)}
	for _, domain := range found[podSet].TopologyAssignment.Domains {
		host := domain.Values[len(domain.Values)-1]
		n, err := strconv.ParseInt(host[1:], 10, 32)
		if err != nil || domain.Count != 1 {
			return sites.Decision{}, fmt.Errorf("kueue: %d pods on %q, expected one on a node", domain.Count, host)
		}
		d.Nodes = append(d.Nodes, int32(n))
	}
	return d, nil
}

// cluster answers Kueue's List calls. Nothing else is called.
type cluster struct {
	client.Client
	nodes []corev1.Node
}

// List fills in the nodes; there are no pods, queues or workloads.
func (c *cluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if nodes, ok := list.(*corev1.NodeList); ok {
		nodes.Items = c.nodes
	}
	return nil
}
