package sites

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Job is nodes for a time; all jobs of a stream wait from the beginning.
type Job struct {
	Nodes int
	Time  float64
}

// Jobs draws a stream: sizes from an exponential distribution with the given
// mean, at least 1 and at most most, rounded up to a multiple of grain; times
// uniform from 20 to 3,000.
func Jobs(count int, mean float64, grain, most int, seed uint64) []Job {
	r := rand.New(rand.NewPCG(seed, uint64(mean*1000)<<20|uint64(grain)))
	out := make([]Job, count)
	for i := range out {
		nodes := 1 + int(-math.Log(1-r.Float64())*mean)
		nodes = min((nodes+grain-1)/grain*grain, most)
		out[i] = Job{nodes, 20 + 2980*r.Float64()}
	}
	return out
}

// EncodeJobs writes jobs as text, a line each.
func EncodeJobs(jobs []Job) []byte {
	var b bytes.Buffer
	for _, j := range jobs {
		fmt.Fprintf(&b, "%d %.3f\n", j.Nodes, j.Time)
	}
	return b.Bytes()
}

// DecodeJobs reads what EncodeJobs wrote.
func DecodeJobs(data []byte) ([]Job, error) {
	var out []Job
	for text := range strings.Lines(string(data)) {
		var j Job
		if _, err := fmt.Sscanf(text, "%d %f", &j.Nodes, &j.Time); err != nil || j.Nodes < 1 || !(j.Time > 0) {
			return nil, fmt.Errorf("jobs: line %d: %.60q, expected nodes and a time", len(out)+1, text)
		}
		out = append(out, j)
	}
	return out, nil
}

// NewTreeOf returns a site of any shape: halls of pods of sus SUs of suNodes
// nodes in racks of rackNodes. A leaf has as many uplinks as nodes, and a spine
// as many as leaves.
func NewTreeOf(name string, halls, pods, sus, suNodes, rackNodes int) *Tree {
	t := &Tree{Name: name, Shape: Shape{Rails: 8, RackNodes: rackNodes, SUNodes: suNodes, PodSUs: sus, LeafUp: suNodes,
		LinkGbps: 400, PodTaper: 1, MessageB: 4096, NodeGPUs: 8, CoresPlane: sus}}
	for range halls {
		var hall Hall
		for range pods {
			var p Pod
			for range sus {
				p = append(p, suNodes)
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
