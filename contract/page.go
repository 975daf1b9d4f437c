package contract

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode"

	"bulkhead/claim"
	"bulkhead/lease"
)

// Page is what a person reads before signing: plain text, made from the bytes that
// are signed and from nothing else. The same offer gives the same page, on every
// machine, so its digest (PageDigest) stands for all that was read: the contract, by
// its digest and in words, what is held for it, until when, and who offers it.
// It fails where the contract in the offer can't be read.
func Page(q *Quoted) ([]byte, error) {
	c, err := Decode(q.Contract)
	if err != nil {
		return nil, fmt.Errorf("quote %s: %w", q.Quote, err)
	}
	loc, err := Zone(c.TimeZone)
	if err != nil {
		return nil, err
	}
	p := &page{c: c, loc: loc}
	p.head(q)
	p.tranches(q)
	p.prices()
	p.levels()
	p.rights()
	if err := p.totals(); err != nil {
		return nil, err
	}
	return p.out.Bytes(), nil
}

// PageDigest is the digest of the page of an offer: what a signing call carries.
func PageDigest(q *Quoted) (claim.Digest, error) {
	text, err := Page(q)
	if err != nil {
		return claim.Digest{}, err
	}
	return claim.DigestOf(text), nil
}

// pageTitle is the first line. Its number goes up whenever the same offer gives
// another page.
const pageTitle = "bulkhead: what is signed, page 1"

type page struct {
	c   *Contract
	loc *time.Location
	out bytes.Buffer
}

// row writes one line. What is not printable in a text of a contract, a line end or
// what turns the direction of writing, is written as its number: no text can look like
// a line of its own.
func (p *page) row(name, format string, args ...any) {
	line := strings.TrimRight(fmt.Sprintf("%-16s %s", name, fmt.Sprintf(format, args...)), " ")
	for _, r := range line {
		if unicode.IsPrint(r) {
			p.out.WriteRune(r)
		} else {
			fmt.Fprintf(&p.out, "\\u%04x", r)
		}
	}
	p.out.WriteByte('\n')
}

// pageDocument begins the line of a page that names its document.
const pageDocument = "document"

// IsPageOf says whether a page names a document, and no other, as what it is made of:
// whoever has read it has read of that one. No text of a contract can make such a line.
func IsPageOf(page string, document claim.Digest) bool {
	begins := fmt.Sprintf("\n%-16s ", pageDocument)
	return strings.Count(page, begins) == 1 && strings.Contains(page, begins+document.String()+" ")
}

func (p *page) part(title string) { fmt.Fprintf(&p.out, "\n%s\n", title) }

// at is an instant in the contract's own zone, with what it is in UTC: a page has no
// date whose day could be meant otherwise.
func (p *page) at(t time.Time) string {
	return t.In(p.loc).Format("2006-01-02 15:04:05 -07:00") + " (" + t.UTC().Format(time.RFC3339) + ")"
}

func (p *page) head(q *Quoted) {
	c := p.c
	fmt.Fprintln(&p.out, pageTitle)
	fmt.Fprintln(&p.out)
	p.row("quote", "%s", q.Quote)
	p.row("holds until", "%s; after that there is nothing to sign", q.Expires.UTC().Format(time.RFC3339))
	p.row("offered by", "%s", offeredBy(q.Offered))
	p.row("contract", "%s, version %d: %s", c.ID, c.Version, c.Title)
	p.row(pageDocument, "%s (of its canonical JSON)", claim.DigestOf(q.Contract))
	if c.LegalDigest.IsZero() {
		p.row("legal text", "none is named")
	} else {
		p.row("legal text", "%s", c.LegalDigest)
	}
	if c.Fictional {
		p.row("", "a fictional contract, between nobody and nobody")
	}
	if c.Note != "" {
		for i, line := range strings.Split(c.Note, "\n") {
			p.row([]string{"note", ""}[min(i, 1)], "%s", line)
		}
	}
	p.row("parties", "the owner of the site, and the tenant %s, for its project %s", c.Tenant, c.Project)
	p.row("currency", "%s", c.Currency)
	p.row("time zone", "%s", c.TimeZone)
	p.zone()
	p.row("takes effect", "%s", p.at(c.Effective))
	p.row("term", "%s until %s", p.at(c.Begin), p.at(c.End))
}

// zone says by which rules days and months are counted, whatever becomes of them later.
func (p *page) zone() {
	z := p.c.ZoneRules
	if z == nil {
		return
	}
	p.row("zone rules", "of version %s of the zone database, from %s until %s, in seconds east of UTC:", z.Version, z.From.UTC().Format(time.RFC3339), z.Until.UTC().Format(time.RFC3339))
	text := fmt.Sprint(z.OffsetS)
	for i, change := range z.Changes {
		if text += fmt.Sprintf(", %d from %s", change.OffsetS, change.At.UTC().Format(time.RFC3339)); i%3 == 2 {
			p.row("", "%s", text)
			text = "then"
		}
	}
	if text != "then" {
		p.row("", "%s", text)
	}
}

func offeredBy(s Signature) string {
	if s.Party == "" {
		return "nobody is named"
	}
	return s.By + ", for the " + s.Party
}

func (p *page) tranches(q *Quoted) {
	p.part("What is delivered")
	placed := map[string]*QuotedPart{}
	for i := range q.Parts {
		placed[q.Parts[i].Tranche] = &q.Parts[i]
	}
	for i := range p.c.Tranches {
		t := &p.c.Tranches[i]
		p.row("tranche "+t.ID, "%d GPUs of %s, %d nodes of %d, in fabric %s, links %s (%s)", t.GPUs, t.KindText(), t.Slots(), t.GPUsANode(), orAny(t.Fabric), linksText(t.Links), p.c.TrancheClause(i))
		p.row("", "%s until %s", p.at(t.Delivery), p.at(t.End))
		if t.LateDiscount != "" {
			p.row("", "late by more than %d days: a discount of %s of the price of what is late", t.GraceDays, percent(t.LateDiscount))
		}
		if t.Split {
			p.row("", "may be delivered in parts")
		}
		if t.SegmentGPUs > 0 {
			p.row("", "in segments of %d GPUs, %d nodes, each in an NVLink domain of its own", t.SegmentGPUs, t.SegmentNodes())
		}
		part := placed[t.ID]
		switch {
		case part == nil:
			p.row("", "leased already: nothing is placed by this quote")
		case q.PlaceWithheld:
			p.row("", "where: told when it is signed, since before that it would tell of other tenants")
		default:
			p.row("", "where: %s", part.Where)
			if !part.Certificate.IsZero() {
				p.row("", "placement certificate %s", part.Certificate)
			}
			if part.Sitting {
				p.row("", "its nodes are left as they are: they are not wiped before")
			}
		}
	}
	for i := range p.c.Storage {
		v := &p.c.Storage[i]
		text := fmt.Sprintf("%d TB", v.CapacityTB)
		if v.BandwidthGbps > 0 {
			text += fmt.Sprintf(", %d Gb/s", v.BandwidthGbps)
		}
		if v.IOPS > 0 {
			text += fmt.Sprintf(", %d IOPS", v.IOPS)
		}
		p.row("volume "+v.ID, "%s, keys of the %s, %s until %s (%s)", text, v.KeyMode, p.at(v.From), p.at(v.To), p.c.VolumeClause(i))
	}
}

func orAny(fabric string) string {
	if fabric == "" {
		return "any"
	}
	return fabric
}

func linksText(l lease.Links) string {
	if l == "" {
		return string(lease.Shared)
	}
	return string(l)
}

// percent is a share as the contract writes it, beside what it is in percent.
func percent(d Decimal) string {
	hundredfold := d.Rat()
	hundredfold.Mul(hundredfold, big.NewRat(100, 1))
	text := hundredfold.FloatString(4)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " %"
}

func (p *page) prices() {
	p.part("What it costs, without tax")
	c := p.c
	for i := range c.Rates {
		r := &c.Rates[i]
		unit := "a calendar month for all of it"
		if r.Basis == PerGPUHour {
			unit = "a GPU and hour"
		}
		kind := ""
		if r.Kind != "" {
			kind = " as " + r.Kind
		}
		p.row("price", "%s %s %s, for tranches %s%s, %s until %s (%s)", r.Price, c.Currency, unit, strings.Join(r.Tranches, ", "), kind, p.at(r.From), p.at(r.To), c.RateClause(i))
	}
	for i := range c.Storage {
		p.row("price", "%s %s a TB and calendar month, for volume %s (%s)", c.Storage[i].Price, c.Currency, c.Storage[i].ID, c.VolumeClause(i))
	}
	if t := c.TakeOrPay; t != nil {
		p.row("take or pay", "at least %s of what tranches %s cost by the hour, used or not%s", percent(t.Share), strings.Join(t.Tranches, ", "), inClause(t.Clause))
	}
	if pre := c.Prepaid; pre != nil {
		p.row("prepaid", "%s %s before the term, drawn down in %d instalments from %s%s", pre.Amount, c.Currency, pre.Months, p.at(pre.From), inClause(pre.Clause))
		kept := "is paid back"
		if pre.EarlyEnd == EarlyEndForfeit {
			kept = "is forfeit where the tenant ends it by notice or early, and is paid back otherwise"
		}
		p.row("", "what is left of it when the contract ends early %s", kept)
	}
}

func inClause(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func (p *page) levels() {
	c := p.c
	p.part("Service levels: credits come by themselves")
	for i := range c.SLA {
		s := &c.SLA[i]
		var tiers []string
		for _, t := range s.Tiers {
			tiers = append(tiers, fmt.Sprintf("below %s: %s", percent(t.Below), percent(t.Credit)))
		}
		text := strings.Join(tiers, ", ")
		if s.AfterS > 0 {
			text += fmt.Sprintf("; only what lasts longer than %d s", s.AfterS)
		}
		if s.AllowanceS > 0 {
			text += fmt.Sprintf("; %d s of noticed maintenance a slot and month are not credited", s.AllowanceS)
		}
		if s.Metric == IsolationProven {
			text += map[string]string{"": "; each port that is not proven counts as one GPU of its node", PortsNode: "; one port that is not proven counts as its whole node"}[s.Ports]
			text += map[string]string{"": "; not for what the tenant could have made as well", UnclearCredited: "; also for what the tenant could have made as well"}[s.Unclear]
		}
		if s.Cap != "" {
			text += "; at most " + percent(s.Cap) + " of the month's charges"
		}
		if len(s.Exclusions) > 0 {
			text += "; not for " + strings.Join(s.Exclusions, ", ")
		}
		p.row(string(s.Metric), "%s (%s)", text, c.SLAClause(i))
	}
	if len(c.SLA) == 0 {
		p.row("none", "nothing is credited for what is down")
	}
	if c.CreditCap != "" {
		p.row("cap", "credits of a month are at most %s of its charges", percent(c.CreditCap))
	}
	p.row("silence", "what nobody looked at counts as before for %d s, then as %s", c.Unknown.GraceS, c.Unknown.Then)
}

func (p *page) rights() {
	c := p.c
	p.part("Who may end it")
	if rule, known := RuleOf(ActNotice); known {
		who := "nobody may give it"
		if parties, _ := rule.Parties(c); len(parties) > 0 {
			who = "by the " + strings.Join(parties, " or the ")
		}
		p.row("notice", "%d days, %s", c.NoticeDays, who)
	}
	if !c.FirmUntil.IsZero() {
		p.row("firm until", "%s: no notice ends it before", p.at(c.FirmUntil))
	}
	for i := range c.Termination {
		r := &c.Termination[i]
		when := "at any time, with notice"
		switch r.When {
		case WhenLate:
			when = fmt.Sprintf("what is more than %d days late", r.AfterDays)
		case WhenEarly:
			when = "at the end of any day, for " + percent(r.Fee) + " of what it would have been worth until its end"
		}
		remedy := "leave"
		if r.Remedy == "reduce" {
			remedy = "keep what came, at a lower fee"
		}
		p.row("by "+r.By, "%s: %s (%s)", when, remedy, clause(r.Clause, "termination", i))
	}
}

func (p *page) totals() error {
	c := p.c
	price, err := Price(c)
	if err != nil {
		return err
	}
	p.part("Total of the whole term, if all is delivered on its date and up all the time")
	p.row("storage", "%s %s without tax, in the total", price.Storage, c.Currency)
	p.row("total", "%s %s WITHOUT TAX", price.Total, c.Currency)
	if c.Tax == nil {
		p.row("tax", "the contract names none")
		return nil
	}
	p.row("tax", "%s of %s is added%s", percent(c.Tax.Rate), c.Tax.Name, inClause(c.Tax.Clause))
	total, ok := new(big.Rat).SetString(price.Total)
	if !ok {
		return fmt.Errorf("total %q is no number", price.Total)
	}
	digits, _ := Digits(c.Currency)
	rate := c.Tax.Rate.Rat()
	with := total.Mul(total, rate.Add(rate, big.NewRat(1, 1)))
	p.row("total", "%s %s with tax, as near as that is known: each invoice rounds its own", with.FloatString(digits), c.Currency)
	return nil
}
