package bundle

import (
	"strings"

	"bulkhead/fabric"
)

// labelLog is the life of one label of the tenant.
type labelLog struct {
	owner    fabric.Owner
	label    fabric.Label
	released bool
}

// ownedIn is what has a label at a time: a project, in a fabric.
type ownedIn struct {
	owner  fabric.Owner
	fabric string
}

func (o ownedIn) String() string { return string(o.owner) + " in " + o.fabric }

// labelled keeps the tenant's labels: at most one for each project and fabric.
func (v *verifier) labelled(b *fabric.Labelled) {
	key := ownedIn{b.Owner, b.Label.Fabric}
	if !strings.HasPrefix(string(b.Owner), "project/"+v.tenant+"/") {
		v.fail(v.at, CheckLabel, b.Label.String(), "its owner is %q: expected a project of %s", b.Owner, v.tenant)
	}
	was := v.labels[key]
	switch b.Action {
	case "assigned", "adopted": // adopted: its tenant was reached under it before
		if was != nil && !was.released {
			v.fail(v.at, CheckLabel, key.String(), "label %s is assigned, and it has %s", b.Label, was.label)
		}
		v.budget.spend(len(v.labels), "labels")
		v.budget.keep(perLabel+2*int64(len(key.owner)+len(key.fabric)), "labels")
		for _, other := range v.labels {
			if other.label == b.Label && other.owner != b.Owner && !other.released {
				v.fail(v.at, CheckLabel, key.String(), "label %s is that of %s", b.Label, other.owner)
			}
		}
		v.labels[key] = &labelLog{owner: b.Owner, label: b.Label}
	case "released":
		if was == nil || was.released || was.label != b.Label {
			v.fail(v.at, CheckLabel, key.String(), "label %s is released, and was not its label", b.Label)
			return
		}
		v.labelReleased(b)
		was.released = true
	default:
		v.fail(v.at, CheckLabel, key.String(), "%q is no action that a tenant's log holds", b.Action)
	}
}

// labelsOf is the labels that a lease's nodes carry, by fabric.
func (v *verifier) labelsOf(l *leaseLog) map[string]labelLog {
	owner := fabric.Owner("project/" + v.tenant + "/" + l.Project)
	out := map[string]labelLog{}
	v.budget.spend(len(v.labels), "labels")
	for _, log := range v.labels {
		if log.owner == owner && !log.released {
			v.budget.keep(perLabel, "labels")
			out[log.label.Fabric] = *log
		}
	}
	return out
}
