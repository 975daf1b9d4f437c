package picture

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"bulkhead/claim"
)

// page is where an SVG stands while it is written. All measures are in pixels.
type page struct {
	b    strings.Builder
	cell int // side of a scalable unit
	cols int // units in a row of a pod
	wide int
	y    int
}

const (
	margin    = 28
	gutter    = 14 // between halls
	inset     = 12 // within a hall
	hallHead  = 40
	podHead   = 18
	cellGap   = 2
	font      = "font-family='Inter,Helvetica,Arial,DejaVu Sans,sans-serif'"
	swatch    = 14
	legendRow = 22
)

// SVG writes pictures of one site below each other, with one legend: those of
// the last one, and of holders that only the others have. Every unit has a
// tooltip that says what is in it.
// The text of a site of 50,000 nodes, before and after, takes about 300 kB.
func SVG(w io.Writer, title, subtitle string, panels ...*Site) error {
	g := &page{cell: 14, cols: 8, wide: 1396}
	units := 0
	for _, h := range panels[0].Halls {
		for _, p := range h.Pods {
			units += len(p.SUs)
		}
	}
	if units <= 48 {
		g.cell, g.wide = 40, 1060
	} else if units <= 240 {
		g.cell, g.wide = 22, 1160
	}
	g.y = margin
	g.text(margin, g.y+20, 24, "#111827", "700", title)
	g.text(margin, g.y+44, 14, "#4b5563", "400", subtitle)
	g.y += 66
	g.legend(panels)
	for _, p := range panels {
		g.panel(p)
	}
	g.y += 6
	g.text(margin, g.y+4, 11, "#6b7280", "400", "A square is a scalable unit; its columns are the shares of its nodes. Colours: Okabe and Ito, for any colour vision.")
	g.y += margin
	_, err := fmt.Fprintf(w, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' %s role='img' aria-label='%s'>\n%s<rect width='100%%' height='100%%' fill='#ffffff'/>\n%s</svg>\n",
		g.wide, g.y, g.wide, g.y, font, escape(title), g.looks(panels), g.b.String())
	return err
}

// looks are the fills: a class a holder, patterns for the rest.
func (g *page) looks(panels []*Site) string {
	var b strings.Builder
	b.WriteString("<defs>\n")
	b.WriteString("<pattern id='planned' width='5' height='5' patternUnits='userSpaceOnUse' patternTransform='rotate(45)'><rect width='5' height='5' fill='#f3f4f6'/><rect width='1' height='5' fill='#c3c9d2'/></pattern>\n")
	b.WriteString("<pattern id='failed' width='6' height='6' patternUnits='userSpaceOnUse'><rect width='6' height='6' fill='#1f2937'/><path d='M1 1l4 4M5 1l-4 4' stroke='#ffffff' stroke-width='1'/></pattern>\n")
	holders := 0
	for _, p := range panels {
		holders = max(holders, len(p.Leases))
	}
	for i := range min(holders, drawn) {
		t := TintOf(i)
		switch t.Pattern {
		case 1:
			fmt.Fprintf(&b, "<pattern id='h%d' width='5' height='5' patternUnits='userSpaceOnUse' patternTransform='rotate(-45)'><rect width='5' height='5' fill='%s'/><rect width='1.6' height='5' fill='#ffffff' fill-opacity='.75'/></pattern>\n", i, t.Colour)
		case 2:
			fmt.Fprintf(&b, "<pattern id='h%d' width='5' height='5' patternUnits='userSpaceOnUse'><rect width='5' height='5' fill='%s'/><circle cx='2.5' cy='2.5' r='1.3' fill='#ffffff' fill-opacity='.85'/></pattern>\n", i, t.Colour)
		}
	}
	b.WriteString("</defs>\n")
	return b.String()
}

func fill(holder int) string {
	switch holder {
	case Free:
		return "fill='#ffffff'"
	case Planned:
		return "fill='url(#planned)'"
	case Failed:
		return "fill='url(#failed)'"
	case Spare:
		return "fill='#d1d5db'"
	}
	if t := TintOf(holder); t.Pattern == 0 {
		return "fill='" + t.Colour + "'"
	}
	return fmt.Sprintf("fill='url(#h%d)'", holder)
}

func (g *page) legend(panels []*Site) {
	type entry struct{ look, text string }
	var entries []entry
	last := panels[len(panels)-1]
	rest, nodes := 0, 0
	for i := range last.Leases {
		h := last.Leases[i]
		was := h.Nodes
		if was == 0 && i < len(panels[0].Leases) {
			was = panels[0].Leases[i].Nodes
		}
		if was == 0 {
			continue
		}
		if i >= drawn {
			rest, nodes = rest+1, nodes+was
			continue
		}
		text := fmt.Sprintf("%s  %s nodes", h.ID, group(was))
		if h.New {
			text += "  (new)"
		}
		entries = append(entries, entry{fill(i), text})
	}
	if rest > 0 {
		entries = append(entries, entry{"fill='" + other.Colour + "'", fmt.Sprintf("%d more leases  %s nodes", rest, group(nodes))})
	}
	for _, state := range []int{Free, Planned, Failed, Spare} {
		if n := last.Counts[state]; n > 0 || state == Free {
			entries = append(entries, entry{fill(state), fmt.Sprintf("%s  %s nodes", last.name(state), group(n))})
		}
	}
	longest := 0
	for _, e := range entries {
		longest = max(longest, len(e.text))
	}
	column := swatch + 8 + longest*7 + 24
	across := max((g.wide-2*margin)/column, 1)
	for i, e := range entries {
		x, y := margin+i%across*column, g.y+i/across*legendRow
		fmt.Fprintf(&g.b, "<rect x='%d' y='%d' width='%d' height='%d' rx='2' %s stroke='#6b7280' stroke-width='.75'/>\n", x, y, swatch, swatch, e.look)
		g.text(x+swatch+8, y+12, 12.5, "#111827", "400", e.text)
	}
	g.y += (len(entries)+across-1)/across*legendRow + 14
}

// panel draws one picture: halls in rows, as many as fit.
func (g *page) panel(p *Site) {
	held := 0
	for _, h := range p.Leases {
		held += h.Nodes
	}
	fmt.Fprintf(&g.b, "<line x1='%d' y1='%d' x2='%d' y2='%d' stroke='#e5e7eb'/>\n", margin, g.y, g.wide-margin, g.y)
	g.text(margin, g.y+28, 17, "#111827", "700", p.Caption)
	g.text(margin+10+len(p.Caption)*10, g.y+28, 13, "#4b5563", "400", fmt.Sprintf("%s · %s nodes leased, %s free, %s planned", p.At.Format(time.DateOnly), group(held), group(p.Counts[Free]), group(p.Counts[Planned])))
	g.y += 44
	x, tall := margin, 0
	for i := range p.Halls {
		w, h := g.hallSize(&p.Halls[i])
		if x > margin && x+w > g.wide-margin {
			x, g.y, tall = margin, g.y+tall+gutter, 0
		}
		g.hall(p, &p.Halls[i], x, g.y, w, h)
		x, tall = x+w+gutter, max(tall, h)
	}
	g.y += tall + 24
}

func (g *page) podSize(p *Pod) (w, h int) {
	cols := min(g.cols, max(len(p.SUs), 1))
	rows := (len(p.SUs) + cols - 1) / cols
	return max(cols*(g.cell+cellGap)-cellGap, 104), podHead + rows*(g.cell+cellGap) - cellGap
}

func (g *page) hallSize(hall *Hall) (w, h int) {
	for i := range hall.Pods {
		pw, ph := g.podSize(&hall.Pods[i])
		w, h = w+pw+inset, max(h, ph)
	}
	return max(w+inset, 150), hallHead + h + inset
}

func (g *page) hall(p *Site, hall *Hall, x, y, w, h int) {
	back, edge, note := "#f9fafb", "stroke='#9ca3af'", "since "+hall.InService.Format(time.DateOnly)
	if !hall.Open {
		back, edge, note = "#ffffff", "stroke='#9ca3af' stroke-dasharray='5 4'", "planned: "+hall.InService.Format(time.DateOnly)
	}
	fmt.Fprintf(&g.b, "<rect x='%d' y='%d' width='%d' height='%d' rx='8' fill='%s' %s/>\n", x, y, w, h, back, edge)
	g.text(x+inset, y+18, 13, "#111827", "700", hall.ID)
	g.text(x+inset, y+32, 10.5, "#6b7280", "400", note)
	px := x + inset
	for i := range hall.Pods {
		pod := &hall.Pods[i]
		pw, _ := g.podSize(pod)
		g.text(px, y+hallHead+11, 11, "#374151", "600", pod.ID+" · "+pod.Kind+" · "+pod.Fabric)
		for j := range pod.SUs {
			cols := min(g.cols, len(pod.SUs))
			g.unit(p, &pod.SUs[j], px+j%cols*(g.cell+cellGap), y+hallHead+podHead+j/cols*(g.cell+cellGap))
		}
		px += pw + inset
	}
}

// unit draws a scalable unit: a column for each share, as wide as it is large.
func (g *page) unit(p *Site, su *SU, x, y int) {
	fmt.Fprintf(&g.b, "<g><title>%s</title>", escape(p.describe(su)))
	at, isNew := 0, false
	for _, share := range su.Shares {
		from, to := at*g.cell*10/su.Nodes, (at+share.Nodes)*g.cell*10/su.Nodes
		at += share.Nodes
		faint := ""
		if share.Early {
			faint = " fill-opacity='.55'"
		}
		fmt.Fprintf(&g.b, "<rect x='%s' y='%d' width='%s' height='%d' %s%s/>", tenth(x*10+from), y, tenth(to-from), g.cell, fill(share.Lease), faint)
		isNew = isNew || share.Lease >= 0 && p.Leases[share.Lease].New
	}
	stroke := "stroke='#9ca3af' stroke-width='.6'"
	if isNew {
		stroke = "stroke='#111827' stroke-width='1.4'"
	}
	fmt.Fprintf(&g.b, "<rect x='%d' y='%d' width='%d' height='%d' fill='none' %s/></g>\n", x, y, g.cell, g.cell, stroke)
}

// tenth writes tenths of a pixel.
func tenth(n int) string {
	if n%10 == 0 {
		return fmt.Sprint(n / 10)
	}
	return fmt.Sprintf("%d.%d", n/10, n%10)
}

func (g *page) text(x, y int, size float64, colour, weight, text string) {
	fmt.Fprintf(&g.b, "<text x='%d' y='%d' font-size='%g' fill='%s' font-weight='%s'>%s</text>\n", x, y, size, colour, weight, escape(text))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(claim.Line(text))) // a Builder takes everything
	return b.String()
}
