// Package partitions is OpenSM's partitions.conf: what Bulkhead writes, and what OpenSM
// makes of any text. It has a strict parser of the part of the language that Bulkhead
// writes, and a model of what OpenSM 3.3.23 makes of any text at all.
//
// OpenSM reads the file on every heavy sweep. On the first thing that it can't
// parse it throws the whole file away and makes every port of the subnet a full
// member of the default partition: the fabric is open. It does the same when the
// file is missing or empty, when a line is longer than 4,094 bytes and breaks at
// a bad place, and so on ([Interpret] knows how). So:
//
//   - [Generate] writes one shape only, with lines below 2 KiB,
//   - [Parse] accepts that shape only, and shares no code with Generate,
//   - [Checked] gives text only if it parses back to what it was made of and
//     OpenSM's model reads the same from it.
//
// The package is pure.
package partitions
