package reckoning

import (
	"fmt"
	"sort"
)

// A calendar of its own: days are counted from 1970-01-01, instants are seconds.

// dayNumber counts the days before a date.
func dayNumber(year, month, day int64) int64 {
	for ; month > 12; month -= 12 {
		year++
	}
	days := int64(0)
	for y := int64(1970); y < year; y++ {
		days += 365
		if leap(y) {
			days++
		}
	}
	for m := int64(1); m < month; m++ {
		days += daysOf(year, m)
	}
	return days + day - 1
}

func leap(y int64) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

func daysOf(year, month int64) int64 {
	if month == 2 && leap(year) {
		return 29
	}
	return [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// dateOf is the date of a day number.
func dateOf(day int64) (y, m, d int64) {
	for y = 1970; day >= 365 && (day >= 366 || !leap(y)); y++ {
		day -= 365
		if leap(y) {
			day--
		}
	}
	for m = 1; day >= daysOf(y, m); m++ {
		day -= daysOf(y, m)
	}
	return y, m, day + 1
}

// zone is the offsets of a time zone, from zone_rules.
type zone struct {
	at     []int64          // ascending
	offset []int64          // one more than at: the first holds before all
	known  map[string]int64 // instants that were read
}

func zoneOf(r rules) zone {
	z := zone{offset: []int64{offsetOf(r.Offset)}, known: map[string]int64{}}
	for _, c := range r.Changes {
		z.at, z.offset = append(z.at, zone{offset: []int64{0}}.instant(c.At)), append(z.offset, offsetOf(c.Offset))
	}
	return z
}

func offsetOf(text string) int64 {
	if text == "" || text == "Z" {
		return 0
	}
	var h, m, s int64
	fmt.Sscanf(text[1:], "%d:%d:%d", &h, &m, &s)
	if text[0] == '-' {
		return -(3600*h + 60*m + s)
	}
	return 3600*h + 60*m + s
}

// local is the second of the wall clock at an instant.
func (z zone) local(at int64) int64 {
	return at + z.offset[sort.Search(len(z.at), func(i int) bool { return z.at[i] > at })]
}

// first is the first instant at which the wall clock shows a time or, where it never
// does, at which it has passed it.
func (z zone) first(wall int64) int64 {
	best := int64(-1)
	for i, offset := range z.offset {
		at := wall - offset
		if i > 0 && at < z.at[i-1] {
			at = z.at[i-1] // skipped: the end of the gap
		}
		if (i == len(z.at) || at < z.at[i]) && z.local(at) >= wall && (best < 0 || at < best) {
			best = at
		}
	}
	return best
}

// day is the first instant of a date.
func (z zone) day(y, m, d int64) int64 { return z.first(86400 * dayNumber(y, m, d)) }

// instant reads a date, or a date and time with an offset.
func (z zone) instant(text string) int64 {
	at, known := z.known[text]
	if !known {
		at = z.read(text)
		if z.known != nil {
			z.known[text] = at
		}
	}
	return at
}

func (z zone) read(text string) int64 {
	var y, m, d, h, min, s int64
	if n, _ := fmt.Sscanf(text, "%d-%d-%dT%d:%d:%d", &y, &m, &d, &h, &min, &s); n == 6 {
		return 86400*dayNumber(y, m, d) + 3600*h + 60*min + s - offsetOf(text[19:])
	}
	if n, _ := fmt.Sscanf(text, "%d-%d-%d", &y, &m, &d); n != 3 {
		panic(fmt.Sprintf("%q is no instant", text))
	}
	return z.day(y, m, d)
}

// month is a calendar month by its first instant and that of the next.
func (z zone) month(y, m int64) (from, to int64) { return z.day(y, m, 1), z.day(y, m+1, 1) }

// daysLater is so many calendar days after an instant, at the same time of day.
func (z zone) daysLater(at, days int64) int64 {
	if days == 0 {
		return at
	}
	wall := z.local(at)
	return z.first(wall + 86400*days)
}
