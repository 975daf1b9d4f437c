package bundle

import (
	"fmt"

	"bulkhead/fabric"
)

// posture notes whether what guards a fabric's management holds. The time in
// which it does not is one in which isolation is not shown.
func (v *verifier) posture(b *fabric.Postures) {
	prefix := "management of " + b.Fabric
	was := v.postures[b.Fabric]
	if was != nil && !was.Holds {
		v.closes(prefix)
	}
	if !b.Holds {
		v.opens(fmt.Sprintf("%s is not guarded: %s", prefix, firstOf(b.Failed)))
	}
	v.budget.keep(perLabel+2*int64(len(b.Fabric))+weightOf(b.Lacks)+weightOf(b.Failed), "postures")
	v.postures[b.Fabric] = b
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return "no reason is given"
	}
	return list[0]
}
