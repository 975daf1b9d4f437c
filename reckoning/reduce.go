package reckoning

import (
	"math/big"
	"slices"
)

// Reduced is what the prices of a file become, one after the other, when the act reduce
// gives up GPUs of a tranche at an instant (docs/acts.md): a flat fee is lower by their
// share of the GPUs of its rate, rounded to the smallest unit; what is over by then, and
// a price by the hour, stays.
func Reduced(text, tranche string, gpus, at int64) (prices []string) {
	v := read([]string{text})[0]
	m := &month{unit: unitOf(v.Currency)}
	for _, r := range v.Rates {
		price := ratio(r.Price)
		if r.Basis == "month" && slices.Contains(r.Tranches, tranche) && v.at(r.To, v.end) > at {
			all := int64(0)
			for _, t := range v.Tranches {
				if slices.Contains(r.Tranches, t.ID) {
					all += t.GPUs
				}
			}
			price = m.rounded(price.Mul(price, big.NewRat(all-gpus, all)))
		}
		prices = append(prices, price.FloatString(9))
	}
	return prices
}
