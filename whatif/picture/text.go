package picture

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Row is one pod as text: a letter a scalable unit.
type Row struct {
	Hall, Pod string
	What      string // kinds and fabric
	Cells     string // a letter a unit: of who holds most of it
}

// letters are the signs of holders. A unit that a holder shares with others, or
// does not fill, has the small letter.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWYZ" // no X: x is out of order

// Signs of what no lease holds.
const (
	signFree    = '.'
	signPlanned = '_'
	signFailed  = 'x'
	signOther   = '+' // leases beyond the letters
)

// OtherLetter is the sign of all leases beyond the letters.
const OtherLetter = "+"

// Rows are the pods in the order of halls.
func (p *Site) Rows() []Row {
	var rows []Row
	for _, h := range p.Halls {
		for i := range h.Pods {
			pod := &h.Pods[i]
			row := Row{Hall: h.ID, Pod: pod.ID, What: pod.Kind + " " + pod.Fabric}
			var cells strings.Builder
			for j := range pod.SUs {
				cells.WriteByte(pod.SUs[j].sign())
			}
			row.Cells = cells.String()
			rows = append(rows, row)
		}
	}
	return rows
}

// sign is the letter of who holds most of a unit, spares aside.
func (u *SU) sign() byte {
	best, sold := Share{Lease: Spare}, 0
	for _, s := range u.Shares {
		if s.Lease == Spare {
			continue
		}
		sold += s.Nodes
		// What a lease holds shows before what nobody does.
		if cmp.Or(cmp.Compare(side(s.Lease), side(best.Lease)), cmp.Compare(s.Nodes, best.Nodes)) > 0 {
			best = s
		}
	}
	switch {
	case best.Lease == Free:
		return signFree
	case best.Lease == Planned:
		return signPlanned
	case best.Lease < 0:
		return signFailed
	case best.Lease >= len(letters):
		return signOther
	case best.Nodes < sold:
		return letters[best.Lease] + 'a' - 'A'
	}
	return letters[best.Lease]
}

// side orders what a unit shows: leases, then the rest by number.
func side(holder int) int {
	if holder >= 0 {
		return 1
	}
	if holder == Spare {
		return -1
	}
	return 0
}

// Letter is the sign of a holder in a text.
func Letter(holder int) string {
	if holder >= len(letters) {
		return OtherLetter
	}
	return letters[holder : holder+1]
}

// Lines writes rows as text, with the colours of a terminal if asked.
func Lines(w io.Writer, rows []Row, colour bool) {
	var wide [3]int
	for _, r := range rows {
		wide[0], wide[1], wide[2] = max(wide[0], len(r.Hall)), max(wide[1], len(r.Pod)), max(wide[2], len(r.What))
	}
	hall := ""
	for _, r := range rows {
		name := r.Hall
		if name == hall {
			name = ""
		}
		hall = r.Hall
		fmt.Fprintf(w, "  %-*s  %-*s  %-*s  %s\n", wide[0], name, wide[1], r.Pod, wide[2], r.What, Paint(r.Cells, colour))
	}
}

// Paint puts each sign of a row on the colour of its holder.
func Paint(cells string, colour bool) string {
	if !colour {
		return cells
	}
	var b strings.Builder
	for i := range len(cells) {
		sign := cells[i : i+1]
		switch holder := strings.Index(letters, strings.ToUpper(sign)); {
		case sign == string(signFailed):
			b.WriteString("\x1b[1;38;2;255;255;255;48;2;0;0;0m" + sign + "\x1b[0m")
		case sign == string(signFree) || sign == string(signPlanned):
			b.WriteString("\x1b[2m" + sign + "\x1b[0m")
		default:
			t := other
			if holder >= 0 {
				t = TintOf(holder)
			}
			b.WriteString("\x1b[38;2;" + triple(t.Ink) + ";48;2;" + triple(t.Colour) + "m" + sign + "\x1b[0m")
		}
	}
	return b.String()
}

func triple(hex string) string {
	v, _ := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	return fmt.Sprintf("%d;%d;%d", v>>16, v>>8&255, v&255)
}
