// Package options is opensm.conf: the settings that harden OpenSM 3.3.23, and a strict
// reader of them. It knows the names of the settings that there are. OpenSM says nothing
// but a line on its standard output to a name that it does not know, so a misspelt setting
// is a missing one: [Parse] refuses what is not in [Known].
//
// The package is pure.
package options
