package contract

import (
	"math/big"
	"time"
)

// Value is what a contract that Check accepts is worth from one instant to
// another, exactly: all delivered on its date, up all the time, without tax and
// storage. of names the tranches whose share counts; nil is all of them. The
// share of a flat fee is by GPUs, as an invoice takes it.
// Cost: one step a rate, tranche boundary and calendar month.
func Value(c *Contract, from, to time.Time, of []string) *big.Rat {
	total := new(big.Rat)
	loc := c.Location()
	for i := range c.Rates {
		r := &c.Rates[i]
		for _, cut := range c.promised(r) {
			begin, end := latest(cut.from, from), earliest(cut.to, to)
			if !begin.Before(end) {
				continue
			}
			var gpus int64
			for _, id := range cut.tranches {
				if of == nil || contains(of, id) {
					gpus += c.TrancheByID(id).GPUs
				}
			}
			value := r.Price.Rat()
			if r.Basis == PerMonth {
				value.Mul(value, Months(loc, begin, end))
				value.Mul(value, big.NewRat(gpus, cut.gpus))
			} else {
				hours := new(big.Rat).SetFrac64(end.Unix()-begin.Unix(), 3600)
				value.Mul(value, hours.Mul(hours, big.NewRat(gpus, 1)))
			}
			total.Add(total, value)
		}
	}
	return total
}
