// Package fabric is who may talk: labels and owners, what each edge port must carry and
// was read back to carry, the Driver. Driver is the one interface through which any fabric
// is driven.
//
// A label is whatever a fabric checks at its edge: a P_Key on InfiniBand, a VNI
// on Ethernet. The owner of a label is a project, a node in turnover, or
// nobody. A packet of one port is delivered at another only if both carry the
// same label and at least one of the two is a full member of it. This is the
// InfiniBand rule; an Ethernet port is a full member of its VNI, or, as a
// limited member, an isolated (private VLAN) port of it.
//
// So that the proof can be local, labels have owners in one way only:
//
//   - a [Pool] gives each owner a label that nobody else has, and does not give
//     it to another before read-back shows it nowhere and its cool-down passed;
//   - a node in turnover has a label of its own for ever ([TurnoverLabel]);
//   - the shared labels ([Shared], the quarantine label among them) are carried
//     by limited members only, so nothing is delivered under them between edge
//     ports.
//
// Writing and reading are two paths: [Driver.Apply] writes what was compiled,
// [Driver.Observe] returns the devices' own bytes, which the subpackages
// infiniband and ethernet decode into a [Reading] a port. [Tables] holds the
// read-back of a whole site.
//
// The root, infiniband and ethernet are pure: no clock, no files, no network.
package fabric
