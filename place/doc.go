// Package place says what a placement is: an ask, the slice that answers it, and the certificate of
// how good the slice is.
//
//	place        the words: Ask, Slice, Certificate, Cost, LinkSet, and Occupancy,
//	             which keeps what is free while slices are committed and released;
//	             Replace, which finds nodes for failed ones, and spares
//	place/solve  finds the best slice
//	place/check  judges a slice and its certificate, and shares no code with solve
//	place/dated  places over time
//
// The tree is fabric > hall > pod > SU > rack > node. A fabric is a hard border,
// and so is the GPU kind: a slice is of one class. The cost of a slice is how many
// domains of each level it touches, halls first, then pods, SUs, racks. Nodes that
// may be placed are those that the caller gives as free, without spares (they lie
// outside what is sold) and without retired nodes.
//
// # Twelve nodes
//
// A hall of one pod, with three SUs of four nodes each, in racks of two. Somebody
// has the first node of the first SU:
//
//	su0: [x .] [. .]   su1: [. .] [. .]   su2: [. .] [. .]
//
// An ask for three nodes has slices in one hall, one pod, one SU and two racks, and
// none that touches less: its cost is 1/1/1/2. The bound of each level by itself is
// the same, so the certificate's gap is 0/0/0/0, and that alone proves the optimum. An
// ask for seven takes two SUs and, at best, four racks. For five, three racks would
// do by themselves, and two SUs would: here both at once, 1/1/2/3.
//
// With hermetic links the same five are a whole SU and one node more, the smaller
// leaf; the certificate then holds a link assignment too. [LinkSet] says what that
// is, and docs/placement.md by which conditions it is complete.
//
// The package is pure and single-threaded: whoever wants several asks solved side
// by side does that outside.
package place
