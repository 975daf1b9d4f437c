// Package opensm is the fabric.Driver of an InfiniBand subnet that an owner's OpenSM
// manages: it writes its partitions. OpenSM is 3.3.23, as in Debian.
//
//   - the subpackage conf is the files that OpenSM reads: which settings harden it, which
//     of them this OpenSM lacks, and what it makes of a partitions.conf that it can't
//     parse: it opens the fabric;
//   - [File] puts a file in place as a whole, fenced, and notices an edit by hand;
//   - [Manager] makes OpenSM read it again and waits until the devices follow;
//   - [Driver] puts these together with a [Reader], which asks the devices
//     themselves: OpenSM remembers what it wrote, and does not read it again;
//   - [Listener] hears from subnet administration what devices tell the manager, so that
//     the next look comes sooner;
//   - [Posture] says, item by item, what stands between a tenant and the subnet.
//
// What OpenSM 3.3.23 does, and this package is built around:
//
//   - a partitions.conf that it can't parse, or that is empty, missing or a folder,
//     opens the fabric; the corpus of the subpackage is fed to the real one;
//   - it reads the file on every heavy sweep, also on one that a trap caused: a
//     file is in force from its rename on, with or without SIGHUP;
//   - it writes a block of a P_Key table only where it differs from what it wrote
//     before. A key from elsewhere stays until the block changes; in a block that
//     OpenSM believes to be empty it stays until OpenSM or the link restarts;
//   - every port is a limited member of 0x7fff at least, also a closed one;
//   - it tells its sm_key to whoever asks with the SM port's M_Key, or to anybody
//     where there is none: without M_Keys the sm_key is no secret;
//   - with a secret sm_key it does not hand over to a rogue SM, but the rogue then
//     is a second master beside it: only M_Keys keep it from writing.
//
// OpenSM itself is the owner's: started, stopped and restarted by the owner's
// supervision. This package only signals it.
package opensm
