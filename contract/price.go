package contract

import (
	"math/big"
	"slices"
	"time"
)

// MonthHours is the customary month of price lists. Quotes show it beside the
// real hours; invoices never use it.
const MonthHours = 730

// Pricing is a contract's price both ways, in its currency. Sums are rounded
// half away from zero to the smallest unit, prices of a GPU-hour to 4 digits.
type Pricing struct {
	Currency string `json:"currency"`
	Spans    []Span `json:"spans"`   // by rate, then by time
	Storage  string `json:"storage"` // of the whole term
	Total    string `json:"total"`   // of the whole term: all delivered on its date, up all the time, without tax
	// TotalIs says so in words: no reader of the number alone can know.
	TotalIs string     `json:"total_is"`
	Tax     *PricedTax `json:"tax,omitempty"` // none: the contract names no tax
}

// PricedTax is the tax that invoices add to a total.
type PricedTax struct {
	Name    string `json:"name"`
	Rate    string `json:"rate"`   // "8.25 %"
	Amount  string `json:"amount"` // of the whole total, rounded once; invoices round it by the month
	WithTax string `json:"with_tax"`
}

// Span is a stretch of time with one rate and one promised set.
type Span struct {
	Clause     string    `json:"clause"`
	Tranches   []string  `json:"tranches"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Basis      Basis     `json:"basis"`
	GPUs       int64     `json:"gpus"`
	Month      string    `json:"month"`        // the fee of a month; of 730 h where the price is by the hour
	Hour730    string    `json:"gpu_hour_730"` // of one GPU, the month taken as 730 h
	HourActual string    `json:"gpu_hour"`     // of one GPU, over the hours that the span really has
	Value      string    `json:"value"`        // of the whole span
}

// Price prices a contract that Check accepts, by the month and by the
// GPU-hour. It fails only with Check's errors.
// Cost: one step a rate, tranche boundary and calendar month.
func Price(c *Contract) (*Pricing, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	loc := c.Location()
	digits, _ := Digits(c.Currency)
	p := &Pricing{Currency: c.Currency}
	total, storage := new(big.Rat), new(big.Rat)
	for i := range c.Rates {
		r := &c.Rates[i]
		for _, cut := range c.promised(r) {
			span, value := priceSpan(r, c.RateClause(i), cut, loc, digits)
			p.Spans = append(p.Spans, span)
			total.Add(total, value)
		}
	}
	for i := range c.Storage {
		v := &c.Storage[i]
		months := Months(loc, v.From, v.To)
		months.Mul(months, big.NewRat(v.CapacityTB, 1))
		storage.Add(storage, months.Mul(months, v.Price.Rat()))
	}
	p.Storage = storage.FloatString(digits)
	p.Total, p.TotalIs = total.Add(total, storage).FloatString(digits), "without tax: the contract names none"
	if t := c.Tax; t != nil {
		tax, _ := new(big.Rat).SetString(p.Total)
		amount := new(big.Rat).Mul(tax, t.Rate.Rat())
		p.Tax = &PricedTax{Name: t.Name, Rate: t.Rate.Percent(), Amount: amount.FloatString(digits)}
		rounded, _ := new(big.Rat).SetString(p.Tax.Amount)
		p.Tax.WithTax = tax.Add(tax, rounded).FloatString(digits)
		p.TotalIs = "without tax: " + t.Name + " comes on top of it, " + p.Tax.Rate
	}
	return p, nil
}

// stretch is a time in which the same tranches of a rate are due.
type stretch struct {
	from, to time.Time
	tranches []string
	gpus     int64
}

// promised cuts a rate's time where its promised set changes.
func (c *Contract) promised(r *Rate) []stretch {
	marks := []time.Time{r.From, r.To}
	named := map[string]bool{}
	for _, id := range r.Tranches {
		named[id] = true
	}
	var due []*Tranche
	for i := range c.Tranches {
		if t := &c.Tranches[i]; named[t.ID] {
			due = append(due, t)
			for _, at := range []time.Time{t.Delivery, t.End} {
				if at.After(r.From) && at.Before(r.To) {
					marks = append(marks, at)
				}
			}
		}
	}
	slices.SortFunc(marks, time.Time.Compare)
	marks = slices.CompactFunc(marks, time.Time.Equal)
	var out []stretch
	for i := 1; i < len(marks); i++ {
		s := stretch{from: marks[i-1], to: marks[i]}
		for _, t := range due {
			if !t.Delivery.After(s.from) && t.End.After(s.from) {
				s.tranches = append(s.tranches, t.ID)
				s.gpus += t.GPUs
			}
		}
		if s.gpus > 0 {
			out = append(out, s)
		}
	}
	return out
}

func priceSpan(r *Rate, clause string, s stretch, loc *time.Location, digits int) (Span, *big.Rat) {
	seconds := s.to.Unix() - s.from.Unix()
	gpuHours := new(big.Rat).SetFrac64(seconds, 3600)
	gpuHours.Mul(gpuHours, big.NewRat(s.gpus, 1))
	gpuHours730 := big.NewRat(s.gpus*MonthHours, 1)
	price := r.Price.Rat()
	month, hour, value := new(big.Rat), new(big.Rat), new(big.Rat)
	if r.Basis == PerMonth {
		month.Set(price)
		hour.Quo(price, gpuHours730)
		value.Mul(price, Months(loc, s.from, s.to))
	} else {
		month.Mul(price, gpuHours730)
		hour.Set(price)
		value.Mul(price, gpuHours)
	}
	actual := new(big.Rat).Quo(value, gpuHours)
	return Span{
		Clause: clause, Tranches: s.tranches, From: s.from.UTC(), To: s.to.UTC(), Basis: r.Basis, GPUs: s.gpus,
		Month: month.FloatString(digits), Hour730: hour.FloatString(4), HourActual: actual.FloatString(4), Value: value.FloatString(digits),
	}, value
}

// Months counts calendar months from one instant to another, the first and
// the last one by their actual seconds.
func Months(loc *time.Location, from, to time.Time) *big.Rat {
	sum := new(big.Rat)
	for at := from; at.Before(to); {
		first, next := MonthOf(loc, at)
		until := earliest(next, to)
		sum.Add(sum, big.NewRat(until.Unix()-at.Unix(), next.Unix()-first.Unix()))
		at = next
	}
	return sum
}
