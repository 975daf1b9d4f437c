package contract

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/lease"
)

// Parse reads a contract file and checks it; kinds may be open in it
// (CheckAsked). file only names it in errors.
// Every error is one of claim.Problems: file, line, field, what was expected.
//
// The file is plain YAML without anchors and tags. Dates mean the first
// instant of that day in time_zone; shares may be written as 97% or 0.97;
// spans of time as 15m or 4h; numbers with underscores between digits.
func Parse(file string, data []byte) (*Contract, error) {
	top, err := claim.ReadYAML(file, data, MaxFile, `a contract; begin with "id: NAME"`)
	if err != nil {
		return nil, err
	}
	p := &reader{c: &Contract{}, loc: time.UTC}
	p.contract(top)
	if top.Failed() == 0 {
		p.defaults()
		if found := (claim.Problems)(nil); errors.As(p.c.CheckAsked(), &found) {
			top.Locate(found)
		}
	}
	if err := top.Err(); err != nil {
		return nil, err
	}
	return p.c, nil
}

// reader fills a contract from the file's fields.
type reader struct {
	c     *Contract
	loc   *time.Location
	rules *ZoneRules // that the file has
}

// defaults fills in what the file may leave out because the rest says it.
func (p *reader) defaults() {
	c := p.c
	c.ZoneRules = p.rules
	c.FixZone()
	if c.Effective.IsZero() && c.Version == 1 {
		c.Effective = c.Begin
	}
	for i := range c.Tranches {
		if c.Tranches[i].End.IsZero() {
			c.Tranches[i].End = c.End
		}
	}
	for i := range c.Rates {
		if c.Rates[i].To.IsZero() {
			c.Rates[i].To = c.End
		}
	}
	for i := range c.Storage {
		if c.Storage[i].To.IsZero() {
			c.Storage[i].To = c.End
		}
	}
}

func (p *reader) contract(f claim.YAML) {
	c := p.c
	zone := known{"time_zone": func(f claim.YAML) {
		text(&c.TimeZone)(f)
		if loc, err := Zone(c.TimeZone); err == nil {
			p.loc = loc
		}
	}}
	rules := known{"zone_rules": optional(&p.rules, func(f claim.YAML, v *ZoneRules) {
		(&reader{loc: time.UTC}).zoneRules(f, v)
		p.loc = (&Contract{TimeZone: c.TimeZone, ZoneRules: v}).Location()
	})}
	fields(f, zone, rules, known{ // dates need the zone and its rules, wherever they stand
		"id": text(&c.ID), "version": number(&c.Version), "effective": p.instant(&c.Effective),
		"title": text(&c.Title), "fictional": truth(&c.Fictional), "note": text(&c.Note),
		"tenant": text(&c.Tenant), "project": text(&c.Project),
		"currency": text(&c.Currency),
		"begin":    p.instant(&c.Begin), "end": p.instant(&c.End),
		"notice_days": number(&c.NoticeDays), "firm_until": p.instant(&c.FirmUntil),
		"legal_digest": func(f claim.YAML) {
			if s, ok := scalar(f, "a digest, sha256: and 64 hexadecimal digits"); ok {
				if err := c.LegalDigest.UnmarshalText([]byte(s)); err != nil {
					f.Fail("%v", err)
				}
			}
		},
		"tranches": list(&c.Tranches, p.tranche), "rates": list(&c.Rates, p.rate),
		"take_or_pay": optional(&c.TakeOrPay, func(f claim.YAML, v *TakeOrPay) {
			fields(f, known{"tranches": texts(&v.Tranches), "share": share(&v.Share), "clause": text(&v.Clause)})
		}),
		"prepaid": optional(&c.Prepaid, func(f claim.YAML, v *Prepaid) {
			fields(f, known{"amount": price(&v.Amount), "from": p.instant(&v.From), "months": number(&v.Months), "clause": text(&v.Clause), "early_end": usual(&v.EarlyEnd, EarlyEndRefund)})
		}),
		"sla": list(&c.SLA, p.sla), "credit_cap": share(&c.CreditCap),
		"unknown": func(f claim.YAML) {
			fields(f, known{"grace": seconds(&c.Unknown.GraceS), "then": text(&c.Unknown.Then)})
		},
		"storage": list(&c.Storage, p.volume),
		"termination": list(&c.Termination, func(f claim.YAML, v *Right) {
			fields(f, known{"when": text(&v.When), "after_days": number(&v.AfterDays), "remedy": text(&v.Remedy), "by": text(&v.By), "fee": share(&v.Fee), "clause": text(&v.Clause)})
		}),
		"tax": optional(&c.Tax, func(f claim.YAML, v *Tax) {
			fields(f, known{"name": text(&v.Name), "rate": share(&v.Rate), "clause": text(&v.Clause)})
		}),
	})
}

// usual reads a word of which one is the usual: written or left out, it has one spelling.
func usual(into *string, word string) func(claim.YAML) {
	return func(f claim.YAML) {
		if text(into)(f); *into == word {
			*into = ""
		}
	}
}

func (p *reader) tranche(f claim.YAML, v *Tranche) {
	v.Acceptance, v.Links = OnDelivery, lease.Shared
	fields(f, known{
		"id": text(&v.ID), "kind": text(&v.Kind), "kinds": texts(&v.Kinds), "mixed": unmixed, "fabric": text(&v.Fabric), "gpus": number(&v.GPUs), "node_gpus": number(&v.NodeGPUs),
		"delivery": p.instant(&v.Delivery), "end": p.instant(&v.End), "grace_days": number(&v.GraceDays),
		"late_discount": share(&v.LateDiscount), "links": text((*string)(&v.Links)), "split": truth(&v.Split), "split_racks": truth(&v.SplitRacks), "segment_gpus": number(&v.SegmentGPUs),
		"acceptance": text(&v.Acceptance), "volumes": texts(&v.Volumes), "clause": text(&v.Clause),
	})
}

// unmixed reads "mixed": a tranche that says it may be of several kinds at once
// is told that this can't be had, and not that the field is unknown.
func unmixed(f claim.YAML) {
	mixed := false
	if truth(&mixed)(f); mixed {
		f.Fail("a slice of several kinds at once is not offered: with kinds it is all of one of them; for both at once write a tranche for each")
	}
}

func (p *reader) rate(f claim.YAML, v *Rate) {
	fields(f, known{
		"tranches": texts(&v.Tranches), "kind": text(&v.Kind), "from": p.instant(&v.From), "to": p.instant(&v.To),
		"basis": text((*string)(&v.Basis)), "price": price(&v.Price), "clause": text(&v.Clause),
	})
}

func (p *reader) sla(f claim.YAML, v *SLA) {
	fields(f, known{
		"metric": text((*string)(&v.Metric)), "after": seconds(&v.AfterS), "allowance": seconds(&v.AllowanceS),
		"tiers": list(&v.Tiers, func(f claim.YAML, t *Tier) {
			fields(f, known{"below": share(&t.Below), "credit": share(&t.Credit)})
		}),
		"cap": share(&v.Cap), "exclusions": texts(&v.Exclusions), "clause": text(&v.Clause),
		"ports": usual(&v.Ports, "share"), "unclear": usual(&v.Unclear, "not-credited"),
	})
}

func (p *reader) volume(f claim.YAML, v *Volume) {
	fields(f, known{
		"id": text(&v.ID), "capacity_tb": number(&v.CapacityTB), "bandwidth_gbps": number(&v.BandwidthGbps),
		"iops": number(&v.IOPS), "key_mode": text(&v.KeyMode), "from": p.instant(&v.From), "to": p.instant(&v.To),
		"price": price(&v.Price), "clause": text(&v.Clause),
	})
}

// zoneRules reads the rules of the zone; dates without an offset are of UTC here.
func (p *reader) zoneRules(f claim.YAML, z *ZoneRules) {
	fields(f, known{
		"version": text(&z.Version), "from": p.instant(&z.From), "until": p.instant(&z.Until), "offset": offset(&z.OffsetS),
		"changes": list(&z.Changes, func(f claim.YAML, c *ZoneChange) {
			fields(f, known{"at": p.instant(&c.At), "offset": offset(&c.OffsetS)})
		}),
	})
}

// offset reads +01:00 or -09:30, with seconds where there are some.
func offset(into *int) func(claim.YAML) {
	return func(f claim.YAML) {
		s, ok := scalar(f, "an offset such as +01:00")
		if !ok {
			return
		}
		for _, layout := range []string{"-07:00", "-07:00:00"} {
			if t, err := time.Parse(layout, s); err == nil {
				_, *into = t.Zone()
				return
			}
		}
		f.Fail("%.20q: expected hours and minutes east of UTC, such as \"+01:00\" or \"-09:30\"", s)
	}
}

func (p *reader) instant(into *time.Time) func(claim.YAML) {
	return func(f claim.YAML) {
		if s, ok := scalar(f, "a date such as 2026-05-01"); ok {
			t, err := parseInstant(s, p.loc)
			if err != nil {
				f.Fail("%v", err)
			}
			*into = t
		}
	}
}

func text(into *string) func(claim.YAML) {
	return func(f claim.YAML) {
		if s, ok := scalar(f, "one text"); ok {
			*into = s
		}
	}
}

func texts(into *[]string) func(claim.YAML) {
	return list(into, func(f claim.YAML, s *string) { text(s)(f) })
}

func list[T any](into *[]T, read func(claim.YAML, *T)) func(claim.YAML) {
	return func(f claim.YAML) {
		for _, item := range f.Items() {
			*into = append(*into, *new(T))
			read(item, &(*into)[len(*into)-1])
		}
	}
}

func optional[T any](into **T, read func(claim.YAML, *T)) func(claim.YAML) {
	return func(f claim.YAML) {
		*into = new(T)
		read(f, *into)
	}
}

func number[T int | int64](into *T) func(claim.YAML) {
	return func(f claim.YAML) {
		s, ok := scalar(f, "a whole number such as 72_000")
		if !ok {
			return
		}
		d, err := ParseDecimal(s)
		n, errInt := strconv.ParseInt(string(d), 10, 64)
		if err != nil || errInt != nil {
			f.Fail("%.40q: expected a whole number of at most %d digits, such as 72_000", s, MaxWhole)
			return
		}
		*into = T(n)
	}
}

func truth(into *bool) func(claim.YAML) {
	return func(f claim.YAML) { *into = f.Bool() }
}

func price(into *Decimal) func(claim.YAML) {
	return func(f claim.YAML) {
		if s, ok := scalar(f, "a number such as 3.95"); ok {
			d, err := ParseDecimal(s)
			if err != nil {
				f.Fail("%v", err)
			}
			*into = d
		}
	}
}

// share reads 0.97 or 97%.
func share(into *Decimal) func(claim.YAML) {
	return func(f claim.YAML) {
		s, ok := scalar(f, "a share such as 97% or 0.97")
		if !ok {
			return
		}
		percent, isPercent := strings.CutSuffix(s, "%")
		d, err := ParseDecimal(strings.TrimSpace(percent))
		if err == nil && isPercent {
			d, err = d.hundredth()
		}
		if err != nil {
			f.Fail("%.40q: expected a share such as 97%% or 0.97", s)
			return
		}
		*into = d
	}
}

// seconds reads 15m, 4h, 1h30m or a whole number of days such as 2d.
func seconds(into *int64) func(claim.YAML) {
	return func(f claim.YAML) {
		s, ok := scalar(f, "a span of time such as 15m, 4h or 2d")
		if !ok {
			return
		}
		if days, isDays := strings.CutSuffix(s, "d"); isDays {
			if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 366 {
				*into = int64(n) * 86400
				return
			}
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || d%time.Second != 0 {
			f.Fail("%.40q: expected a span of time in whole seconds, such as 15m, 4h or 2d", s)
			return
		}
		*into = int64(d / time.Second)
	}
}
