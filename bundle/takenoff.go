package bundle

import (
	"fmt"

	"bulkhead/ledger"
)

// takenOff notes that the owner took entries off this log's end, because a clock had
// dated them in the future. Nothing here shows what they said: whoever holds an older
// checkpoint over them finds it broken, and the report says so in its first lines.
func (v *verifier) takenOff(b *ledger.TakenOff) {
	if b.Entries == 0 || b.Last.Before(b.First) || b.HeadSize+1 != v.at.entry {
		v.fail(v.at, CheckSequence, "", "%d entries of %s to %s were taken off this log behind entry %d: expected it behind the last that is left", b.Entries, stamp(b.First), stamp(b.Last), b.HeadSize)
		return
	}
	v.tally.takenOff += b.Entries
	if v.tally.whyTakenOff == "" {
		v.tally.whyTakenOff = fmt.Sprintf("dated %s to %s; %.200q", stamp(b.First), stamp(b.Last), b.Reason)
	}
}
