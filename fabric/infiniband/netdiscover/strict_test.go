package netdiscover

import "errors"

// The strict reader and check of a whole file: the tests hold the lenient one, which drafts
// sites, against them.

// Parse reads a file. The error is an [Error]. Cost: O(bytes).
func Parse(file string, text []byte) (*Topology, error) { return parse(file, text, false) }

// Check finds what a whole subnet can't have: a cable whose two ends disagree, a
// node that is named and not there, a port GUID twice. The error joins an [Error]
// for each, the first 50.
func (t *Topology) Check() error {
	var problems []error
	t.check(func(fault *Error, _ *Link) {
		if len(problems) < maxProblems {
			problems = append(problems, fault)
		}
	})
	return errors.Join(problems...)
}
