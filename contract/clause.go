package contract

import (
	"fmt"
	"math/big"
	"strings"
	"time"
)

// The clauses below are what an invoice cites: the contract's own words where
// it has some, else the place in the contract, counted from 1.

// RateClause names a rate.
func (c *Contract) RateClause(i int) string { return clause(c.Rates[i].Clause, "rates", i) }

// SLAClause names a service level.
func (c *Contract) SLAClause(i int) string { return clause(c.SLA[i].Clause, "sla", i) }

// VolumeClause names a volume.
func (c *Contract) VolumeClause(i int) string { return clause(c.Storage[i].Clause, "storage", i) }

// TrancheClause names a tranche with its delivery date and late discount.
func (c *Contract) TrancheClause(i int) string { return clause(c.Tranches[i].Clause, "tranches", i) }

func clause(own, list string, i int) string {
	if own != "" {
		return own
	}
	return fmt.Sprintf("%s, item %d", list, i+1)
}

// GraceEnd is when the late discount of a tranche begins: GraceDays calendar
// days after its delivery, in the contract's zone, at the same time of day: the first
// such instant, or the end of the gap where clocks skip it.
func (c *Contract) GraceEnd(t *Tranche) time.Time {
	if t.GraceDays == 0 {
		return t.Delivery
	}
	loc := c.Location()
	_, offset := t.Delivery.In(loc).Zone()
	wall := t.Delivery.UTC().Add(time.Duration(offset) * time.Second)
	return firstAt(loc, wall.AddDate(0, 0, t.GraceDays))
}

// Instalment is the exact amount of one instalment.
func (p *Prepaid) Instalment() *big.Rat {
	each := p.Amount.Rat()
	return each.Quo(each, big.NewRat(int64(max(p.Months, 1)), 1))
}

// monthsBefore counts the instalments in months that begin before an instant.
func (p *Prepaid) monthsBefore(end time.Time, loc *time.Location) int {
	count := 0
	for at := p.From; count < p.Months && at.Before(end); count++ {
		_, at = MonthOf(loc, at)
	}
	return count
}

// decimalOf is an exact value as a Decimal; r has at most MaxDecimals digits.
func decimalOf(r *big.Rat) Decimal {
	text := r.FloatString(MaxDecimals)
	d, err := ParseDecimal(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
	if err != nil {
		return ""
	}
	return d
}
