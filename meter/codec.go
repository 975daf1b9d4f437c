package meter

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
)

// maxInvoice bounds an encoded invoice: entries are ranges, lines are few.
const maxInvoice = 64 << 20

// Entries are ledger entry numbers, ascending. In JSON they are a range set:
// "17-30,45".
type Entries []uint64

// maxEntries keeps a short text from naming more entries than there can be.
const maxEntries = 16 << 20

// Weigh is the bytes that reading a range set takes.
func (*Entries) Weigh(text []byte) int64 {
	weight := int64(0)
	for part := range bytes.SplitSeq(text, []byte(",")) {
		low, high, isRange := bytes.Cut(part, []byte("-"))
		if !isRange {
			weight += 16
			continue
		}
		first, _ := strconv.ParseInt(string(low), 10, 64)
		last, _ := strconv.ParseInt(string(high), 10, 64)
		weight += 16 * (1 + min(max(last-first, 0), maxEntries))
	}
	return weight
}

func (e Entries) String() string {
	var out []byte
	for i := 0; i < len(e); {
		j := i
		for j+1 < len(e) && e[j+1] == e[j]+1 {
			j++
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, e[i], 10)
		if j > i {
			out = strconv.AppendUint(append(out, '-'), e[j], 10)
		}
		i = j + 1
	}
	return string(out)
}

// MarshalText writes the range set.
func (e Entries) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads a range set.
func (e *Entries) UnmarshalText(text []byte) error {
	*e = nil
	if len(text) == 0 {
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 63)
		last, err2 := strconv.ParseUint(high, 10, 63)
		if err1 != nil || err2 != nil || first > last || len(*e) > 0 && first <= (*e)[len(*e)-1] {
			return fmt.Errorf("entries: %.40q: expected ascending numbers and ranges, such as 17-30,45", part)
		}
		if last-first >= maxEntries || len(*e)+int(last-first) >= maxEntries {
			return fmt.Errorf("entries: %.40q: more than %d entries", part, maxEntries)
		}
		for n := first; n <= last; n++ {
			*e = append(*e, n)
		}
	}
	return nil
}

// Encode is the canonical JSON: equal invoices have equal bytes.
func (i *Invoice) Encode() []byte {
	utc := *i
	utc.Period = Period{From: i.Period.From.UTC(), To: i.Period.To.UTC()}
	utc.LooksFrom = i.LooksFrom.UTC()
	return claim.Canonical(&utc)
}

// DecodeInvoice reads the canonical JSON and checks what can be checked without
// the ledger: that it is canonical, that line ids are unique, that amounts are
// decimals of the currency which add up to the total, and that usage adds up.
// Whether the lines are right, only rating again shows.
func DecodeInvoice(data []byte) (*Invoice, error) {
	i := &Invoice{}
	if err := claim.Exact(data, maxInvoice, i); err != nil {
		return nil, fmt.Errorf("invoice: %w", err)
	}
	if err := i.check(); err != nil {
		return nil, fmt.Errorf("invoice: %w", err)
	}
	if !bytes.Equal(i.Encode(), data) {
		return nil, errors.New("invoice: not in canonical form: write invoices with Encode")
	}
	return i, nil
}

func (i *Invoice) check() error {
	if err := checkNumber(i.Number); err != nil {
		return err
	}
	if at, err := time.Parse(month, i.Month); err != nil || at.Sub(i.Period.From).Abs() > 48*time.Hour {
		return fmt.Errorf("month: %.20q: expected the month of the period, such as 2026-05", i.Month)
	}
	digits, ok := contract.Digits(i.Currency)
	if !ok {
		return fmt.Errorf("currency: unknown currency %.20q", i.Currency)
	}
	if i.Rounding != Rounding {
		return fmt.Errorf("rounding: %.80q: expected %q", i.Rounding, Rounding)
	}
	amount := func(field, text string) (*big.Rat, error) {
		// An exponent of six digits takes minutes: nothing but digits goes further.
		if len(text) > 40 || strings.Trim(text, "-.0123456789") != "" {
			return nil, fmt.Errorf("%s: %.40q: expected an amount with %d decimals", field, text, digits)
		}
		r, ok := new(big.Rat).SetString(text)
		if !ok || r.FloatString(digits) != text {
			return nil, fmt.Errorf("%s: %.40q: expected an amount with %d decimals", field, text, digits)
		}
		return r, nil
	}
	sum, seen := new(big.Rat), map[string]bool{}
	for n, l := range i.Lines {
		r, err := amount(fmt.Sprintf("lines[%d].amount", n), l.Amount)
		if err != nil {
			return err
		}
		if l.ID == "" || seen[l.ID] {
			return fmt.Errorf("lines[%d].id: %.70q: expected an id of its own", n, l.ID)
		}
		seen[l.ID] = true
		sum.Add(sum, r)
	}
	total, err := amount("total", i.Total)
	if err != nil {
		return err
	}
	if total.Cmp(sum) != 0 {
		return fmt.Errorf("total: %s, but the lines add up to %s", i.Total, sum.FloatString(digits))
	}
	for n, u := range i.Usage {
		var all int64
		for _, s := range u.States {
			if _, ok := s.State.code(); !ok || s.GPUSeconds < 0 || s.GPUSeconds > u.Promised-all {
				return fmt.Errorf("usage[%d]: state %.40q with %d GPU-seconds of %d promised", n, string(s.State), s.GPUSeconds, u.Promised)
			}
			all += s.GPUSeconds
		}
		if all != u.Promised {
			return fmt.Errorf("usage[%d]: states add up to %d of %d promised", n, all, u.Promised)
		}
	}
	return nil
}
