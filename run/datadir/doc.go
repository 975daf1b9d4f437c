// Package datadir is the folder of a control plane: what is in it, and how it is checked, backed up, restored and recovered.
// A server works in it through [run.Plane]; what is done here is done beside a server
// (read, verify, back up) or while there is none (restore, recover, set aside, take over).
// Errors name the flags of the verbs that do it.
package datadir
