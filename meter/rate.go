package meter

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
)

// Input is all that an invoice follows from.
type Input struct {
	Versions []*contract.Contract // all versions of one contract, from the first
	Events   []Event              // of all its leases, from their first entry on; or
	Changes  *Changes             // the same in columns
	Period   Period               // one calendar month of the contract's zone
	Number   string
	// Looks is when devices were looked at, by the same log as the events: nil where it
	// does not say. Fabrics are those that each lease runs on, beside its nodes.
	Looks   *Looks
	Fabrics map[string][]string
	// Earlier are all invoices of this contract before this one. Evidence that
	// came later than they did becomes correction lines. Without them an
	// invoice corrects nothing.
	Earlier []*Invoice
	Notes   []GivenBack // credit notes about them: what they gave back, late evidence does not again
}

// Rate makes the invoice of a calendar month without correction lines. It is
// pure: permuted or duplicated events give the same bytes. Errors name the
// contract's field, the ledger entry or the argument.
func Rate(versions []*contract.Contract, events []Event, period Period, number string) (*Invoice, error) {
	return RateInput(Input{Versions: versions, Events: events, Period: period, Number: number})
}

// RateInput is Rate with all that it can take. A changed slot
// costs about 0.1 µs when changes are in the order of the ledger, three times
// that when they are not; each earlier invoice costs as much again.
func RateInput(in Input) (*Invoice, error) {
	if err := checkNumber(in.Number); err != nil {
		return nil, err
	}
	changes := in.Changes
	if changes == nil {
		var err error
		if changes, err = ChangesOf(in.Events); err != nil {
			return nil, err
		}
	} else if len(in.Events) > 0 {
		return nil, fmt.Errorf("events: give Events or Changes, not both")
	}
	b, err := newBill(in, changes, in.Period)
	if err != nil {
		return nil, err
	}
	b.charges()
	b.invoice.Number, b.invoice.Through = in.Number, changes.newest
	if in.Looks != nil {
		b.invoice.Through = max(changes.newest, in.Looks.Newest)
	}
	if err := b.corrections(in, changes); err != nil {
		return nil, err
	}
	b.endingFee()
	b.tax()
	b.prepaid()
	b.prepaidLeft()
	b.finish()
	return b.invoice, nil
}

func checkNumber(number string) error {
	ok := len(number) > 0 && len(number) <= 64
	for _, r := range number {
		ok = ok && r > ' ' && r < 0x7f
	}
	if !ok {
		return fmt.Errorf("number: %.70q: expected 1 to 64 printable characters without spaces", number)
	}
	return nil
}

// bill is an invoice while it is made.
type bill struct {
	*terms
	invoice *Invoice
	ids     map[string]bool
	sums    map[string]*big.Rat // printed amounts by kind
}

// newBill folds the changes and fills in the invoice's head and usage.
func newBill(in Input, changes *Changes, period Period) (*bill, error) {
	versions := in.Versions
	t, err := newTerms(versions, period)
	if err != nil {
		return nil, err
	}
	t.looks, t.fabrics = in.Looks, in.Fabrics
	if err := t.run(changes, nil); err != nil {
		return nil, fmt.Errorf("contract %s: %w", versions[0].ID, err)
	}
	b := &bill{terms: t, ids: map[string]bool{}, sums: map[string]*big.Rat{}, invoice: &Invoice{
		Tenant: t.last.Tenant, Contract: t.last.ID, TimeZone: t.last.TimeZone, Currency: t.last.Currency, Rounding: Rounding,
		Month: period.From.In(t.loc).Format(month), Period: Period{From: period.From.UTC(), To: period.To.UTC()}, Lines: []Line{},
	}}
	for i, v := range t.versions {
		if from, to := t.rules(i); max(from, t.from) < min(to, t.to) {
			b.invoice.Versions = append(b.invoice.Versions, Version{v.Version, v.Digest()})
			if v.Fictional {
				b.invoice.Note = "The contract is fictional: nobody owes this to anybody."
			}
		}
	}
	b.silence()
	return b, b.usage()
}

// usage writes the partition of each tranche's promised time, and checks it.
func (b *bill) usage() error {
	b.invoice.Usage = []Usage{}
	for _, tr := range b.terms.tranches {
		if len(tr.segments) == 0 {
			continue
		}
		var sum [codes]int64
		u := Usage{Tranche: tr.id}
		for _, s := range tr.segments {
			u.GPUs = s.gpus(s.slots)
			u.Promised += s.gpus(s.slots * (s.to - s.from))
			for c := range sum {
				sum[c] += s.gpus(s.usage[c])
			}
		}
		var total int64
		for c, seconds := range sum {
			if seconds != 0 {
				u.States = append(u.States, StateUsage{stateNames[c], seconds})
				total += seconds
			}
		}
		if total != u.Promised {
			return fmt.Errorf("tranche %s: states add up to %d GPU-seconds of %d promised: the fold is wrong, please report it", tr.id, total, u.Promised)
		}
		b.invoice.Usage = append(b.invoice.Usage, u)
	}
	return nil
}

// add rounds a line's exact amount, once, and appends it. It returns the
// printed amount.
func (b *bill) add(line Line, exact *big.Rat) *big.Rat {
	line.Amount = exact.FloatString(b.digits)
	if strings.Trim(line.Amount, "-0.") == "" {
		line.Amount = new(big.Rat).FloatString(b.digits) // no "-0.00"
	}
	base := line.ID
	for n := 2; b.ids[line.ID]; n++ {
		line.ID = fmt.Sprintf("%s#%d", base, n)
	}
	b.ids[line.ID] = true
	printed, _ := new(big.Rat).SetString(line.Amount)
	if b.sums[line.Kind] == nil {
		b.sums[line.Kind] = new(big.Rat)
	}
	b.sums[line.Kind].Add(b.sums[line.Kind], printed)
	b.invoice.Lines = append(b.invoice.Lines, line)
	return printed
}

// sum is the printed sum of some kinds of lines.
func (b *bill) sum(kinds ...string) *big.Rat {
	total := new(big.Rat)
	for _, kind := range kinds {
		if s := b.sums[kind]; s != nil {
			total.Add(total, s)
		}
	}
	return total
}

// charges adds all lines that follow from the contract and this month's events.
func (b *bill) charges() {
	b.fees()
	b.tranchesUsed()
	b.takeOrPay()
	b.late()
	b.credits()
	b.storage()
}

func (b *bill) finish() {
	total := new(big.Rat)
	for _, l := range b.invoice.Lines {
		amount, _ := new(big.Rat).SetString(l.Amount)
		total.Add(total, amount)
	}
	b.invoice.Total = total.FloatString(b.digits)
}

// stretch is for how long something of a contract is paid for by the same terms.
type stretch[T any] struct {
	of      *T
	clause  string
	from    int64
	seconds int64
}

// stretches are those of one kind, in the order in which their terms K come up.
type stretches[K comparable, T any] struct {
	list []*stretch[T]
	by   map[K]*stretch[T]
}

func (s *stretches[K, T]) add(terms K, of *T, clause string, from, to int64) {
	if s.by[terms] == nil {
		if s.by == nil {
			s.by = map[K]*stretch[T]{}
		}
		s.by[terms] = &stretch[T]{of: of, clause: clause, from: from}
		s.list = append(s.list, s.by[terms])
	}
	s.by[terms].seconds += to - from
}

// fees are the flat fees: one line for each stretch of one fee.
func (b *bill) fees() {
	// The clause and the price as they are: 4.1 at 1250000000 and 4.11 at 250000000 are two fees.
	type terms struct {
		clause   string
		price    contract.Decimal
		tranches int
	}
	var all stretches[terms, contract.Rate]
	lists := claim.Chain{}
	for i, v := range b.versions {
		from, to := b.rules(i)
		for j := range v.Rates {
			r := &v.Rates[j]
			a, z := max(from, b.from, r.From.Unix()), min(to, b.to, r.To.Unix())
			if r.Basis != contract.PerMonth || a >= z {
				continue
			}
			all.add(terms{v.RateClause(j), r.Price, lists.Of(claim.Strings(r.Tranches)...)}, r, v.RateClause(j), a, z)
		}
	}
	for _, f := range all.list {
		exact := f.of.Price.Rat()
		exact.Mul(exact, big.NewRat(f.seconds, b.month))
		b.add(Line{
			ID: b.id("fee", f.from), Kind: LineFee, Clause: f.clause,
			Text:     "Flat fee for " + strings.Join(f.of.Tranches, ", "),
			Formula:  fmt.Sprintf("%s × %s s / %s s", b.money(f.of.Price), group(f.seconds), group(b.month)),
			Quantity: fmt.Sprint(f.seconds), Unit: "s", Price: string(f.of.Price), Per: "month",
		}, exact)
	}
}

// id is a line's id; where an earlier line has it, the day on which this one's
// terms begin tells them apart.
func (b *bill) id(base string, from int64) string {
	if !b.ids[base] {
		return base
	}
	return base + "@" + time.Unix(from, 0).In(b.loc).Format(time.DateOnly)
}

// storage is one line a volume and price.
func (b *bill) storage() {
	type terms struct {
		volume, clause string
		capacity       int64
		price          contract.Decimal
	}
	var all stretches[terms, contract.Volume]
	for i, v := range b.versions {
		from, to := b.rules(i)
		for j := range v.Storage {
			s := &v.Storage[j]
			a, z := max(from, b.from, s.From.Unix()), min(to, b.to, s.To.Unix())
			if a >= z || s.Price.Sign() == 0 {
				continue // free storage needs no line
			}
			all.add(terms{s.ID, v.VolumeClause(j), s.CapacityTB, s.Price}, s, v.VolumeClause(j), a, z)
		}
	}
	for _, u := range all.list {
		exact := u.of.Price.Rat()
		exact.Mul(exact, big.NewRat(u.of.CapacityTB, 1))
		exact.Mul(exact, big.NewRat(u.seconds, b.month))
		b.add(Line{
			ID: b.id("storage/"+u.of.ID, u.from), Kind: LineStorage, Clause: u.clause,
			Text:     fmt.Sprintf("Volume %s, %s TB", u.of.ID, group(u.of.CapacityTB)),
			Formula:  fmt.Sprintf("%s × %s TB × %s s / %s s", b.money(u.of.Price), group(u.of.CapacityTB), group(u.seconds), group(b.month)),
			Quantity: fmt.Sprint(u.of.CapacityTB), Unit: "TB", Price: string(u.of.Price), Per: "TB-month",
		}, exact)
	}
}

// tax is on all lines so far, by the version in force at the end.
func (b *bill) tax() {
	t := b.last.Tax
	if t == nil {
		return
	}
	subtotal := new(big.Rat)
	for _, s := range b.sums {
		subtotal.Add(subtotal, s)
	}
	exact := t.Rate.Rat()
	exact.Mul(exact, subtotal)
	b.add(Line{
		ID: "tax", Kind: LineTax, Clause: orElse(t.Clause, "tax"), Text: t.Name,
		Formula:  fmt.Sprintf("%s × %s", t.Rate.Percent(), b.amount(subtotal)),
		Quantity: subtotal.FloatString(b.digits), Unit: b.last.Currency, Price: string(t.Rate), Per: b.last.Currency,
	}, exact)
}

// prepaid draws one instalment in each month that has one.
func (b *bill) prepaid() {
	p := b.last.Prepaid
	if p == nil {
		return
	}
	at := p.From
	for range p.Months {
		first, next := contract.MonthOf(b.loc, at)
		if first.Unix() == b.from {
			exact := p.Instalment()
			b.add(Line{
				ID: "prepaid", Kind: LinePrepaid, Clause: orElse(p.Clause, "prepaid"), Text: "Drawn from what was prepaid",
				Formula:  fmt.Sprintf("- %s / %d", b.money(p.Amount), p.Months),
				Quantity: "1", Unit: "instalment", Price: exact.FloatString(b.digits), Per: "instalment",
			}, exact.Neg(exact))
			return
		}
		at = next
	}
}

func orElse(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// money prints a price with its currency: "1,250,000,000 USD".
func (b *bill) money(d contract.Decimal) string { return groupText(string(d)) + " " + b.last.Currency }

// amount prints a sum with its currency; a negative one stands in brackets.
func (b *bill) amount(r *big.Rat) string {
	text := groupText(r.FloatString(b.digits)) + " " + b.last.Currency
	if r.Sign() < 0 {
		return "(" + text + ")"
	}
	return text
}

// group prints a whole number with separators: "2,678,400".
func group(n int64) string { return groupText(fmt.Sprint(n)) }

func groupText(number string) string {
	digits, negative := strings.CutPrefix(number, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	var parts []string
	for len(whole) > 3 {
		parts = append(parts, whole[len(whole)-3:])
		whole = whole[:len(whole)-3]
	}
	parts = append(parts, whole)
	slices.Reverse(parts)
	out := strings.Join(parts, ",")
	if point {
		out += "." + fraction
	}
	if negative {
		out = "-" + out
	}
	return out
}
