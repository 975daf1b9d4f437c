package contract

import (
	"fmt"
	"time"
)

// StartOfDay is the first instant of a calendar day in a zone. Where clocks
// skip midnight it is the instant after the gap; where midnight comes twice it
// is the first one.
func StartOfDay(loc *time.Location, year int, month time.Month, day int) time.Time {
	return firstAt(loc, time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// firstAt is the first instant at which the clocks of a zone show what wall shows in
// UTC; where they skip it, the instant after the gap.
func firstAt(loc *time.Location, wall time.Time) time.Time {
	year, month, day := wall.Date()
	hour, minute, second := wall.Clock()
	about := time.Date(year, month, day, hour, minute, second, 0, loc)
	// The wall's time as seen with the offsets on either side of any change near it.
	first := time.Time{}
	for _, near := range []time.Time{about.Add(-12 * time.Hour), about.Add(12 * time.Hour)} {
		_, offset := near.Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(loc)
		if h, m, s := t.Clock(); h == hour && m == minute && s == second && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if !first.IsZero() {
		return first.UTC()
	}
	// The clocks never show it: the zone changed across it.
	if _, gap := about.Add(-12 * time.Hour).ZoneBounds(); !gap.IsZero() {
		return gap.UTC()
	}
	return about.UTC()
}

// MonthOf is the calendar month of a zone that holds an instant, as its first
// instant and the first instant of the next.
func MonthOf(loc *time.Location, t time.Time) (from, to time.Time) {
	year, month, _ := t.In(loc).Date()
	return StartOfDay(loc, year, month, 1), StartOfDay(loc, year, month+1, 1)
}

// parseInstant reads a date, which means the first instant of that day in the
// contract's zone, or an instant with an explicit offset.
func parseInstant(text string, loc *time.Location) (time.Time, error) {
	const want = "expected a date such as 2026-05-01, or an instant such as 2026-05-01T00:00:00-07:00"
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return StartOfDay(loc, day.Year(), day.Month(), day.Day()), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q: %s", text, want)
	}
	if t.Nanosecond() != 0 {
		return time.Time{}, fmt.Errorf("%.40q: expected whole seconds", text)
	}
	return t.UTC(), nil
}

// show prints an instant for an error or a clause, in the contract's zone.
func (c *Contract) show(t time.Time) string {
	t = t.In(c.Location())
	if h, m, s := t.Clock(); h+m+s == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// currencies are the ISO 4217 codes that a contract may use, with the digits
// of their smallest unit.
var currencies = map[string]int{
	"AED": 2, "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2,
	"GBP": 2, "HKD": 2, "IDR": 2, "ILS": 2, "INR": 2, "JPY": 0, "KRW": 0, "KWD": 3, "MXN": 2, "MYR": 2,
	"NOK": 2, "NZD": 2, "PLN": 2, "QAR": 2, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TWD": 2, "USD": 2, "ZAR": 2,
}

// Digits is the number of digits after the point of a currency's smallest
// unit. ok is false for a currency that contracts can't use.
func Digits(currency string) (digits int, ok bool) {
	digits, ok = currencies[currency]
	return digits, ok
}
