// Package picture draws a site, each scalable unit coloured by its leases, as text and as
// SVG. It draws what it is given and decides nothing.
package picture

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/place/dated"
	"bulkhead/site"
)

// What a node is when no lease holds it. Holders are numbered from 0.
const (
	Free    = -1 // can be sold
	Planned = -2 // its hall is not in service yet
	Failed  = -3 // out of order or cordoned, held or not
	Spare   = -4 // never sold
)

// Share is a run of nodes of a scalable unit that are alike.
type Share struct {
	Lease int // index into Site.Holders, or one of the above
	Nodes int
	Early bool // promised, and the hall is not in service yet
}

// SU is a scalable unit, by shares: holders by number, then what nobody holds.
type SU struct {
	ID     string
	Nodes  int
	Shares []Share
}

// Pod is a group of scalable units.
type Pod struct {
	ID, Fabric, Kind string // Kind names all kinds, with commas
	SUs              []SU
}

// Hall is a room with its pods.
type Hall struct {
	ID        string
	InService time.Time
	Open      bool // in service at the time of the picture
	Pods      []Pod
}

// Lease is a lease in the picture.
type Lease struct {
	ID    string
	Nodes int
	New   bool // it is what the picture is about
}

// Site is one picture: the site at an instant.
type Site struct {
	Name    string
	Caption string // what it shows, such as "before"
	At      time.Time
	Halls   []Hall
	Leases  []Lease
	Counts  map[int]int // nodes that no lease holds, by Free, Planned, Failed and Spare
}

// Of is the picture of a schedule at an instant. Holders are those that hold
// something then, in the given order; others follow by id. New marks what the
// picture is about. Cost: O(nodes).
func Of(s *site.Site, schedule *dated.Schedule, failed *site.Set, at time.Time, order []string, isNew func(id string) bool) *Site {
	p := &Site{Name: s.Name, At: at.UTC(), Counts: map[int]int{}}
	holder := make([]int, s.Nodes())
	for n := range holder {
		i := site.Index(n)
		switch {
		case failed.Has(i):
			holder[n] = Failed
		case s.IsSpare(i):
			holder[n] = Spare
		case s.InService(i).After(at):
			holder[n] = Planned
		default:
			holder[n] = Free
		}
	}
	number := map[string]int{}
	for i, id := range order {
		number[id] = i
		p.Leases = append(p.Leases, Lease{ID: id, New: isNew(id)})
	}
	early := site.NewSet(s.Nodes())
	for _, h := range schedule.Bookings() {
		if h.Begin.After(at) || !at.Before(h.End) {
			continue
		}
		i, known := number[h.ID]
		if !known {
			i = len(p.Leases)
			p.Leases = append(p.Leases, Lease{ID: h.ID, New: isNew(h.ID)})
		}
		p.Leases[i].Nodes = len(h.Nodes)
		for _, n := range h.Nodes {
			if holder[n] == Failed {
				continue
			}
			if holder[n] == Planned {
				early.Add(n)
			}
			holder[n] = i
		}
	}
	for _, i := range holder {
		if i < 0 {
			p.Counts[i]++
		}
	}
	p.tree(s, holder, early)
	return p
}

func (p *Site) tree(s *site.Site, holder []int, early *site.Set) {
	for h := range s.Halls {
		hall := Hall{ID: s.Halls[h].ID, InService: s.Halls[h].InService, Open: !s.Halls[h].InService.After(p.At)}
		for number := range s.Pods {
			if s.Pods[number].Hall != h {
				continue
			}
			pod := Pod{ID: s.Pods[number].ID, Fabric: s.Fabrics[s.Pods[number].Fabric].ID}
			for i := range s.SUs {
				if su := &s.SUs[i]; su.Pod == number {
					if !strings.Contains(","+pod.Kind+",", ","+su.Kind+",") {
						pod.Kind = strings.TrimPrefix(pod.Kind+","+su.Kind, ",")
					}
					pod.SUs = append(pod.SUs, unit(su, holder, early))
				}
			}
			hall.Pods = append(hall.Pods, pod)
		}
		p.Halls = append(p.Halls, hall)
	}
}

func unit(su *site.SU, holder []int, early *site.Set) SU {
	out := SU{ID: su.ID, Nodes: len(su.Nodes)}
	type key struct {
		holder int
		early  bool
	}
	counts := map[key]int{}
	most := -1
	for _, n := range su.Nodes {
		counts[key{holder[n], early.Has(n)}]++
		most = max(most, holder[n])
	}
	add := func(i int) {
		for _, e := range []bool{false, true} {
			if n := counts[key{i, e}]; n > 0 {
				out.Shares = append(out.Shares, Share{i, n, e})
			}
		}
	}
	for i := 0; i <= most; i++ {
		add(i)
	}
	for _, i := range []int{Free, Planned, Failed, Spare} {
		add(i)
	}
	return out
}

// Name is how a share is called.
func (p *Site) name(holder int) string {
	switch holder {
	case Free:
		return "free"
	case Planned:
		return "planned"
	case Failed:
		return "out of order"
	case Spare:
		return "spare"
	}
	return p.Leases[holder].ID
}

func (p *Site) describe(su *SU) string {
	var parts []string
	for _, share := range su.Shares {
		text := fmt.Sprintf("%d %s", share.Nodes, p.name(share.Lease))
		if share.Early {
			text += " (hall not in service yet)"
		}
		parts = append(parts, text)
	}
	return su.ID + ": " + strings.Join(parts, ", ")
}

// group writes a number with commas.
func group(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
