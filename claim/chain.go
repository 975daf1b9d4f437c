package claim

// Chain numbers sequences of things, so that a map can be keyed by what is made of
// several: two sequences have one number when their things are equal one by one, and
// never because their texts join to the same. Of sequences that hold lists, put a
// list's length before it.
type Chain map[link]int

// link is one thing behind a sequence that has a number; 0 is the empty one.
type link struct {
	behind int
	thing  any
}

// Of is the number of a sequence: 0 for the empty one. Every thing must be comparable,
// as a string, a number or a struct of such. Numbers follow the order in which
// sequences were first asked for.
func (c Chain) Of(things ...any) int {
	at := 0
	for _, thing := range things {
		next, known := c[link{at, thing}]
		if !known {
			next = len(c) + 1
			c[link{at, thing}] = next
		}
		at = next
	}
	return at
}

// Strings is a list as things of a sequence: its length, then each.
func Strings[T ~string](list []T) []any {
	things := []any{len(list)}
	for _, one := range list {
		things = append(things, one)
	}
	return things
}
