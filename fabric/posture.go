package fabric

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Postured is a Driver whose fabric can be taken over by whoever manages it, so
// that its tables mean something only while its management is guarded. Nothing is
// handed over on a fabric whose posture does not hold.
type Postured interface {
	// Posture looks at what guards the fabric's management. What can't be looked at
	// is an item that does not hold; the error is only for a context that ended.
	Posture(ctx context.Context) (Posture, error)
}

// Mender is a Postured whose guard can be put back where it was taken away.
type Mender interface {
	// Mend writes what guards the fabric's management again. It refuses an older fence.
	Mend(ctx context.Context, f Fence) error
}

// Posture is what stands between a tenant and a fabric's management.
type Posture struct {
	At    time.Time     `json:"at"`
	Items []PostureItem `json:"items"`
	// Zones is what was read of the nodes' BMCs, where the manager has their gateway.
	Zones *Zones `json:"zones,omitempty"`
}

// PostureItem is one demand. Lacking says that this manager has nothing of the
// kind: it does not stand in the way, and is printed.
type PostureItem struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Lacking  bool   `json:"lacking,omitempty"`
	Grade    string `json:"grade"`    // "measured", "configured", "not known"
	Evidence string `json:"evidence"` // what was seen, in words; never a key
}

// Failed lists the items that stand in the way, as "name: evidence". A posture of
// which nothing was looked at fails.
func (p *Posture) Failed() []string {
	var failed []string
	for _, i := range p.Items {
		if !i.OK && !i.Lacking {
			failed = append(failed, i.Name+": "+i.Evidence)
		}
	}
	if len(p.Items) == 0 {
		failed = append(failed, "nothing was looked at")
	}
	return failed
}

// Lacks lists the items that this manager has nothing of.
func (p *Posture) Lacks() []string {
	var lacks []string
	for _, i := range p.Items {
		if i.Lacking {
			lacks = append(lacks, i.Name)
		}
	}
	return lacks
}

func (p *Posture) String() string {
	if failed := p.Failed(); len(failed) > 0 {
		return "does not hold: " + strings.Join(failed, "; ")
	}
	return fmt.Sprintf("holds: %d items", len(p.Items))
}
