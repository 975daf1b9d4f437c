package meter

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// corrections re-rates the period of each earlier invoice with all the
// evidence there is now, and adds what its lines would be more or less than
// what has been billed for them, corrections included. An issued invoice is
// never edited.
func (b *bill) corrections(in Input, changes *Changes) error {
	earlier := slices.Clone(in.Earlier)
	slices.SortStableFunc(earlier, func(a, c *Invoice) int { return strings.Compare(a.Number, c.Number) })
	slices.SortStableFunc(earlier, func(a, c *Invoice) int { return a.Period.From.Compare(c.Period.From) })
	for i, e := range earlier {
		switch {
		case e.Contract != b.invoice.Contract || e.Tenant != b.invoice.Tenant:
			return fmt.Errorf("earlier invoice %s is of contract %s of %s", e.Number, e.Contract, e.Tenant)
		case e.Number == in.Number:
			return fmt.Errorf("number: %s is the number of an earlier invoice", in.Number)
		case e.Period.To.After(in.Period.From):
			return fmt.Errorf("earlier invoice %s is of a period that ends after this one begins", e.Number)
		case i > 0 && earlier[i-1].Period.From.Equal(e.Period.From):
			return fmt.Errorf("earlier invoices %s and %s are of the same period", earlier[i-1].Number, e.Number)
		}
	}
	for _, e := range earlier {
		now, err := newBill(in, changes, e.Period)
		if err != nil {
			return fmt.Errorf("correction of %s: %w", e.Number, err)
		}
		now.charges()
		if err := b.correct(e, now.invoice, earlier, in.Notes); err != nil {
			return err
		}
	}
	return nil
}

// correct adds the differences between an invoice and what it would be now.
func (b *bill) correct(was, now *Invoice, all []*Invoice, notes []GivenBack) error {
	billed, due := map[string]*big.Rat{}, map[string]Line{}
	put := func(id, amount string) error {
		r, ok := new(big.Rat).SetString(amount)
		if !ok {
			return fmt.Errorf("earlier invoice %s: line %s: amount %.40q is not a decimal", was.Number, id, amount)
		}
		if billed[id] == nil {
			billed[id] = new(big.Rat)
		}
		billed[id].Add(billed[id], r)
		return nil
	}
	for _, l := range was.Lines {
		switch l.Kind {
		case LineCorrection, LineTax, LinePrepaid, LinePrepaidLeft, LineEarlyEnd:
			continue // the first are about others, the rest don't follow from evidence
		}
		if err := put(l.ID, l.Amount); err != nil {
			return err
		}
	}
	for _, e := range all {
		for _, l := range e.Lines {
			if l.Kind == LineCorrection && l.Corrects == was.Number {
				if err := put(l.Of, l.Amount); err != nil {
					return err
				}
			}
		}
	}
	ids := slices.Collect(maps.Keys(billed))
	for _, l := range now.Lines {
		due[l.ID] = l
		if billed[l.ID] == nil {
			billed[l.ID] = new(big.Rat)
			ids = append(ids, l.ID)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		l, amount := due[id], new(big.Rat)
		if l.ID != "" {
			amount.SetString(l.Amount)
		}
		difference := new(big.Rat).Sub(amount, billed[id])
		noted := ""
		if given := credited(notes, b.invoice.Through, was.Number, id); difference.Sign() < 0 && given.Sign() > 0 {
			if difference.Add(difference, given); difference.Sign() > 0 {
				difference.SetInt64(0)
			}
			noted = fmt.Sprintf(" + %s", b.amount(given))
		}
		if difference.Sign() == 0 {
			continue
		}
		explained := "there is no such line any more"
		if l.ID != "" {
			explained = l.Formula
		}
		b.add(Line{
			ID: "correction/" + was.Number + "/" + id, Kind: LineCorrection, Clause: orElse(l.Clause, "late evidence"),
			Text:     fmt.Sprintf("Late evidence about line %s of %s, which is now: %s", id, was.Number, explained),
			Formula:  fmt.Sprintf("%s - %s", b.amount(amount), b.amount(billed[id])) + noted,
			Quantity: "1", Unit: "line", Price: difference.FloatString(b.digits), Per: "line",
			Entries: l.Entries.after(was.Through), Corrects: was.Number, Of: id,
		}, difference)
	}
	return nil
}

// after are the entries that are newer than one.
func (e Entries) after(entry uint64) Entries {
	at, found := slices.BinarySearch(e, entry)
	if found {
		at++
	}
	return slices.Clone(e[at:])
}
