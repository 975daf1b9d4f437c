// Package conf is the files that OpenSM reads, opensm.conf and partitions.conf: what is
// written, and what it makes of any text. OpenSM is 3.3.23, as in Debian.
//
// OpenSM reads partitions.conf on every heavy sweep. On the first thing that it can't
// parse it throws the whole file away and makes every port of the subnet a full
// member of the default partition: the fabric is open. It does the same when the
// file is missing or empty, when a line is longer than 4,094 bytes and breaks at
// a bad place, and so on ([Interpret] knows how). So:
//
//   - one shape only is ever written, with lines below 2 KiB,
//   - [ParsePartitions] accepts that shape only, and shares no code with what writes it,
//   - [CheckedPartitions] gives text only if it parses back to what it was made of and
//     OpenSM's model reads the same from it.
//
// To a setting in opensm.conf that it does not know OpenSM says nothing but a line on its
// standard output, so a misspelt setting is a missing one: [ParseOptions] refuses it.
// [Demands] are what the hardening asks for, also where this OpenSM has nothing of the kind.
//
// The package is pure.
package conf
