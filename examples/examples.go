// Package examples holds the sites and contracts that the demonstration and the tests use.
// They are embedded, so that the binary finds them wherever it runs. All of them are
// fictional, modelled on public reports, and say so.
package examples

import "embed"

// Files has one folder a size: colossus, small and tiny.
//
//go:embed */*.yaml
var Files embed.FS
