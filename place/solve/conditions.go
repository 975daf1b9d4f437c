package solve

import (
	"cmp"
	"slices"
)

// The conditions under which nodes and links carry any permutation of their traffic
// without a link in common with others. They are those of Jigsaw (S. A. Smith and D.
// K. Lowenthal: Jigsaw: A High-Utilization, Interference-Free Job Scheduler for
// Fat-Tree Clusters, HPDC '21, its formal conditions of a three-level fat tree), which
// go back to Links as a Service (E. Zahavi et al.: Links as a Service (LaaS):
// Guaranteed Tenant Isolation in the Shared Cloud, ANCS '16). Their words are used
// here: a full leaf has as many nodes as all others have, the one remainder leaf fewer;
// a full tree is a pod with as many leaves as all others have, the one remainder tree
// has fewer. docs/placement.md says where these are truer than the sources.
const (
	equalLeaves    = 1 + iota // all leaves have equal numbers of nodes, but the remainder leaf
	balancedLeaves            // a leaf has as many uplinks as nodes that send at once
	commonSpines              // all leaves have uplinks to the same spines, the remainder leaf to some of them
	equalTrees                // all pods have equal numbers of leaves, but the remainder tree
	commonCores               // a spine's links lead to the same cores in all pods, in the remainder tree to some of them
)

// A branch of the search is told by restrictions what it does without, each for the
// condition that a plan before it has broken. Two on one subject are one: the
// narrower.
type restriction interface {
	subject() subject
	narrower(than restriction) restriction
}

// subject is what a restriction is about: a role, and the SU or pod in that role.
type subject struct {
	role role
	at   int
}

type role int

const (
	asFullLeaf role = iota
	asRemainderLeaf
	asRemainderLeafWithLastUplink
	withRemainderLeaf
	asFullTree
	asRemainderTree
	asRemainderTreeOfLeaves
)

// noFullLeaf: the SU is no full leaf. Some of its uplinks have failed, so that it
// is in the way of condition 3; or it is the remainder leaf as well.
type noFullLeaf struct{ su int }

// remainderLeaf: as the remainder leaf, the SU sends at most so many flows without its
// last uplink; no more of its uplinks are common to all leaves (condition 3).
type remainderLeaf struct{ su, flows int }

// lastUplinkCommon: as the remainder leaf, the SU leaves its last uplink to others.
type lastUplinkCommon struct{ su int }

// noRemainderLeaf: the remainder leaf is in another pod.
type noRemainderLeaf struct{ pod int }

// fullTree: how the pod, an index into search.pods, may be one of the full trees:
// what it may need of its core links (condition 5).
type fullTree struct {
	pod    int
	leaves leafChoice
}

// remainderTree: how the pod may be the remainder tree.
type remainderTree struct {
	pod    int
	leaves leafChoice
}

// remainderTreeOf: as the remainder tree, the pod has at most so many full leaves.
type remainderTreeOf struct{ pod, leaves int }

// leafChoice is which numbers of leaves a pod may give.
type leafChoice int

const (
	noLeaves  leafChoice = iota
	allLeaves            // all that no other hermetic slice has: then the last core links may be held too
	anyLeaves
)

func (r noFullLeaf) subject() subject       { return subject{asFullLeaf, r.su} }
func (r remainderLeaf) subject() subject    { return subject{asRemainderLeaf, r.su} }
func (r lastUplinkCommon) subject() subject { return subject{asRemainderLeafWithLastUplink, r.su} }
func (r noRemainderLeaf) subject() subject  { return subject{withRemainderLeaf, r.pod} }
func (r fullTree) subject() subject         { return subject{asFullTree, r.pod} }
func (r remainderTree) subject() subject    { return subject{asRemainderTree, r.pod} }
func (r remainderTreeOf) subject() subject  { return subject{asRemainderTreeOfLeaves, r.pod} }

func (r noFullLeaf) narrower(restriction) restriction       { return r }
func (r lastUplinkCommon) narrower(restriction) restriction { return r }
func (r noRemainderLeaf) narrower(restriction) restriction  { return r }
func (r remainderLeaf) narrower(than restriction) restriction {
	return remainderLeaf{r.su, min(r.flows, than.(remainderLeaf).flows)}
}
func (r fullTree) narrower(than restriction) restriction {
	return fullTree{r.pod, min(r.leaves, than.(fullTree).leaves)}
}
func (r remainderTree) narrower(than restriction) restriction {
	return remainderTree{r.pod, min(r.leaves, than.(remainderTree).leaves)}
}
func (r remainderTreeOf) narrower(than restriction) restriction {
	return remainderTreeOf{r.pod, min(r.leaves, than.(remainderTreeOf).leaves)}
}

// restrictions are ordered by subject, one a subject, so that the same ones that were
// added in another order are equal.
type restrictions []restriction

func bySubject(r restriction, s subject) int {
	at := r.subject()
	return cmp.Or(cmp.Compare(at.role, s.role), at.at-s.at)
}

// and returns the restrictions with some more. They share nothing.
func (rs restrictions) and(more ...restriction) restrictions {
	out := slices.Clone(rs)
	for _, r := range more {
		i, known := slices.BinarySearchFunc(out, r.subject(), bySubject)
		if known {
			out[i] = r.narrower(out[i])
		} else {
			out = slices.Insert(out, i, r)
		}
	}
	return out
}

func (rs restrictions) on(role role, at int) (restriction, bool) {
	i, known := slices.BinarySearchFunc(rs, subject{role, at}, bySubject)
	if !known {
		return nil, false
	}
	return rs[i], true
}

// asFull is how the pod may be one of the full trees.
func (rs restrictions) asFull(pod int) leafChoice {
	if r, ok := rs.on(asFullTree, pod); ok {
		return r.(fullTree).leaves
	}
	return anyLeaves
}

// asRemainder is how the pod may be the remainder tree, and how many full leaves it
// may then have.
func (rs restrictions) asRemainder(pod int) (choice leafChoice, most int) {
	choice, most = anyLeaves, 1<<30 // any number
	if r, ok := rs.on(asRemainderTree, pod); ok {
		choice = r.(remainderTree).leaves
	}
	if r, ok := rs.on(asRemainderTreeOfLeaves, pod); ok {
		most = r.(remainderTreeOf).leaves
	}
	return choice, most
}
