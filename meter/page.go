package meter

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/claim"
)

const pageWidth = 100

// Text is the invoice as a page for a person: with it and the contract, the
// total can be worked out on a pocket calculator.
func (i *Invoice) Text() string {
	var p strings.Builder
	fmt.Fprintf(&p, "INVOICE %s\n\n", i.Number)
	head := func(name, value string) { fmt.Fprintf(&p, "%-10s %s\n", name, claim.Line(value)) }
	head("Tenant", i.Tenant)
	versions := make([]string, 0, len(i.Versions))
	for _, v := range i.Versions {
		versions = append(versions, fmt.Sprintf("version %d (%s)", v.Version, v.Digest))
	}
	head("Contract", i.Contract+", "+strings.Join(versions, ", "))
	head("Period", i.period()+", "+group(i.Period.seconds())+" seconds")
	head("Currency", i.Currency+", rounded: "+i.Rounding)
	head("Evidence", fmt.Sprintf("the tenant's ledger entries up to %d", i.Through))
	if i.Note != "" {
		head("Note", i.Note)
	}
	p.WriteString("\n" + row("Line", "Amount "+i.Currency) + strings.Repeat("-", pageWidth) + "\n")
	for _, l := range i.Lines {
		p.WriteString(row(l.ID, groupText(l.Amount)))
		wrap(&p, "    ", fmt.Sprintf("%s (clause %s)", l.Text, l.Clause))
		wrap(&p, "    ", "= "+l.Formula)
		if len(l.Entries) > 0 {
			wrap(&p, "    ", fmt.Sprintf("from %s ledger entries: %s", group(int64(len(l.Entries))), short(l.Entries)))
		}
	}
	p.WriteString(strings.Repeat("-", pageWidth) + "\n" + row("TOTAL", groupText(i.Total)))
	p.WriteString("\nUsage: how the promised GPU-seconds fall into states\n")
	for _, u := range i.Usage {
		p.WriteString(row(fmt.Sprintf("%s, %s GPUs promised", u.Tranche, group(u.GPUs)), group(u.Promised)))
		for _, s := range u.States {
			p.WriteString(row("    "+string(s.State), group(s.GPUSeconds)))
		}
	}
	i.prepaidText(&p)
	i.silenceText(&p)
	return p.String()
}

// maxSilences bounds how many silent stretches a page lists.
const maxSilences = 40

// silenceText names the stretches of the period of which nobody can say what the slots
// were, and what they were counted as.
func (i *Invoice) silenceText(p *strings.Builder) {
	if !i.LooksFrom.IsZero() {
		p.WriteByte('\n')
		wrap(p, "", fmt.Sprintf("Until %s the ledger does not say when devices were looked at: slots counted as what was last said of them, also in silence.", i.LooksFrom.UTC().Format(time.RFC3339)))
	}
	if len(i.Silence) == 0 {
		return
	}
	p.WriteString("\nSilence: nobody looked at what these leases run on, so their slots are unknown, by the contract's rule\n")
	for n, s := range i.Silence {
		if n == maxSilences {
			fmt.Fprintf(p, "    and %d more: the invoice's JSON lists them\n", len(i.Silence)-n)
			break
		}
		p.WriteString(row(fmt.Sprintf("    %s until %s  %s: %s", s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339), s.Lease, s.What), group(s.GPUSeconds)))
	}
}

// Explain says how a line came about: clause, formula, entries. For an id that
// the invoice does not have it lists those that it has.
func (i *Invoice) Explain(line string) string {
	l, ok := i.Line(line)
	if !ok {
		ids := make([]string, 0, len(i.Lines))
		for _, l := range i.Lines {
			ids = append(ids, l.ID)
		}
		return fmt.Sprintf("invoice %s has no line %.80q; it has: %s\n", i.Number, line, strings.Join(ids, ", "))
	}
	var p strings.Builder
	part := func(name, format string, args ...any) {
		var text strings.Builder
		wrap(&text, strings.Repeat(" ", 11), fmt.Sprintf(format, args...))
		fmt.Fprintf(&p, "%-10s %s\n", name, strings.TrimSpace(text.String()))
	}
	part("line", "%s of invoice %s, %s", l.ID, i.Number, i.period())
	part("what", "%s", l.Text)
	part("clause", "%s of contract %s", l.Clause, i.Contract)
	part("formula", "%s", l.Formula)
	part("amount", "%s %s (%s)", groupText(l.Amount), i.Currency, i.Rounding)
	if l.Kind == LineCorrection {
		part("corrects", "line %s of invoice %s", l.Of, l.Corrects)
	}
	if l.Kind == LineCredit {
		for n, s := range i.Silence {
			if n == maxSilences {
				part("silence", "and %d more: the invoice's JSON lists them", len(i.Silence)-n)
				break
			}
			part("silence", "nobody looked at %s from %s until %s (%s, %s GPU-s unknown)", s.What,
				s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339), s.Lease, group(s.GPUSeconds))
		}
	}
	switch {
	case len(l.Entries) > 0:
		part("entries", "%s", strings.ReplaceAll(l.Entries.String(), ",", ", "))
	case l.Kind == LineCredit || l.Kind == LineLate || l.Kind == LineLateExtra:
		part("entries", "none in this period: what holds at its begin did not change")
	default:
		part("entries", "none: the line follows from the contract and from the other lines")
	}
	return p.String()
}

// period prints the billing period: its days are the contract's, the same for every reader.
func (i *Invoice) period() string {
	first, err := time.Parse(month, i.Month)
	if err != nil {
		return i.TimeZone // check has refused it
	}
	return fmt.Sprintf("%s until %s, %s", first.Format(time.DateOnly), first.AddDate(0, 1, 0).Format(time.DateOnly), i.TimeZone)
}

// month is how a calendar month is written.
const month = "2006-01"

// row puts a number at the right edge.
func row(left, right string) string {
	left = claim.Line(left)
	return fmt.Sprintf("%s%*s\n", left, max(pageWidth-len(left), len(right)+2), right)
}

// short shows entries up to about a line.
func short(e Entries) string {
	text := e.String()
	if len(text) <= 200 {
		return strings.ReplaceAll(text, ",", ", ")
	}
	cut := strings.LastIndexByte(text[:180], ',')
	return strings.ReplaceAll(text[:cut], ",", ", ") + " ... (explain the line for all of them)"
}

// wrap writes text in lines of the page's width, each indented.
func wrap(p *strings.Builder, indent, text string) {
	width := len(indent)
	p.WriteString(indent)
	for n, word := range strings.Fields(claim.Shown(text)) {
		if n > 0 && width+1+len(word) > pageWidth {
			p.WriteString("\n" + indent)
			width = len(indent)
		} else if n > 0 {
			p.WriteByte(' ')
			width++
		}
		p.WriteString(word)
		width += len(word)
	}
	p.WriteByte('\n')
}
