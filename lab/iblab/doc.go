// Package iblab is a control plane over an unmodified OpenSM on an emulated fabric
// (ibfabric), and attacks on it. It is InfiniBand for real, as far as software goes. Two
// rivals lease parts of the same leaves, are proven apart from what the devices themselves
// say, and are attacked.
//
// Nodes, their frontend and storage are simulated. Time is the lab's own and is
// moved by hand; what OpenSM does takes real time.
package iblab
