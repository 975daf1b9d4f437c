// Package whatif asks a copy of the state what would happen, and writes nothing. From when
// could what be sold, what would a slipped hall cost, what would the site look like with
// one contract more? Everything follows from the arguments, and nothing is written: a
// [book.State] is read, never changed.
package whatif

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/place/dated"
)

// Earliest says for each size from when it can be had, and in which shape. A
// query that begins in the past begins now.
func Earliest(s *book.State, now time.Time, q dated.Query) ([]dated.Dated, error) {
	schedule, err := s.Schedule(now)
	if err != nil {
		return nil, err
	}
	if q.From.Before(now) {
		q.From = now
	}
	q.Whole = q.Whole || s.Site.NVLinkRacks(q.Kind) && q.Links != lease.Hermetic
	return schedule.Earliest(q)
}

// Money is what an invoice line of a month would be, and would become.
type Money struct {
	Month  string // "2026-07", in the contract's zone
	Kind   string // of the invoice line
	Clause string
	Was    string
	Is     string
	Change string // Is - Was: negative is less for the owner
}

// arrival says from when a slot of a lease is up, as far as dates tell.
type arrival func(l *book.Lease, slot int) time.Time

// compare makes the invoices of some months of a contract twice, by the meter
// that makes the real ones: as the slots arrive by one account, and by another.
// It returns the lines that differ and the sum of the differences.
// Cost: two invoices a month.
func compare(versions []*contract.Contract, leases []*book.Lease, from, to time.Time, was, is arrival) ([]Money, *big.Rat, error) {
	c := versions[len(versions)-1]
	loc := c.Location()
	digits, _ := contract.Digits(c.Currency)
	total := new(big.Rat)
	var rows []Money
	if from.Before(c.Begin) {
		from = c.Begin
	}
	before, after := expect(leases, was), expect(leases, is)
	for at := from; at.Before(to) && at.Before(c.End); {
		begin, end := contract.MonthOf(loc, at)
		at = end
		period := meter.Period{From: begin, To: end}
		old, err := meter.Rate(versions, before, period, "what-if")
		if err != nil {
			return nil, nil, fmt.Errorf("contract %s: %w", c.ID, err)
		}
		next, err := meter.Rate(versions, after, period, "what-if")
		if err != nil {
			return nil, nil, fmt.Errorf("contract %s: %w", c.ID, err)
		}
		for _, m := range differ(old, next, begin.In(loc).Format("2006-01"), digits) {
			change, _ := new(big.Rat).SetString(m.Change)
			total.Add(total, change)
			rows = append(rows, m)
		}
	}
	return rows, total, nil
}

// expect is the events of leases so far, and those that are still to come.
func expect(leases []*book.Lease, at arrival) []meter.Event {
	var events []meter.Event
	entry := uint64(1) << 62 // after whatever was recorded
	for _, l := range leases {
		events = append(events, l.Events...)
		by := map[time.Time][]int{}
		for slot := range l.Slots {
			if slot >= len(l.Up) || !l.Up[slot] {
				t := at(l, slot)
				by[t] = append(by[t], slot)
			}
		}
		for _, t := range slices.SortedFunc(maps.Keys(by), time.Time.Compare) {
			if !t.Before(l.End) {
				continue // it never comes
			}
			entry++
			events = append(events, meter.Event{Entry: entry, Lease: string(l.ID), Tranche: l.Tranche, Slots: ranges(by[t]), At: t, State: meter.Up, Cause: "delivered"})
		}
	}
	return events
}

// differ lists the lines of two invoices of one month that differ.
func differ(old, next *meter.Invoice, month string, digits int) []Money {
	type key struct{ kind, clause string }
	sums := map[key]*[2]big.Rat{}
	var order []key
	for i, invoice := range []*meter.Invoice{old, next} {
		for _, l := range invoice.Lines {
			k := key{l.Kind, l.Clause}
			if sums[k] == nil {
				sums[k] = new([2]big.Rat)
				order = append(order, k)
			}
			amount, _ := new(big.Rat).SetString(l.Amount)
			sums[k][i].Add(&sums[k][i], amount)
		}
	}
	var rows []Money
	for _, k := range order {
		change := new(big.Rat).Sub(&sums[k][1], &sums[k][0])
		if change.Sign() != 0 {
			rows = append(rows, Money{Month: month, Kind: k.kind, Clause: k.clause,
				Was: sums[k][0].FloatString(digits), Is: sums[k][1].FloatString(digits), Change: change.FloatString(digits)})
		}
	}
	return rows
}

func later(times ...time.Time) time.Time {
	last := times[0]
	for _, t := range times[1:] {
		if t.After(last) {
			last = t
		}
	}
	return last
}
