package meter

import (
	"fmt"
	"time"

	"bulkhead/contract"
)

// Period is a billing period: From until To, without To itself. An invoice's
// period is one calendar month in the contract's time zone.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// MonthOf is the calendar month of a contract that holds an instant, by the rules of the
// zone that it was signed with.
func MonthOf(c *contract.Contract, at time.Time) Period {
	from, to := contract.MonthOf(c.Location(), at)
	return Period{From: from, To: to}
}

// Month is a calendar month in a time zone of this release, by IANA name, where there is
// no contract to go by. month may be beyond December; it then counts on into the next
// year.
func Month(tz string, year int, month time.Month) (Period, error) {
	loc, err := contract.Zone(tz)
	if err != nil {
		return Period{}, fmt.Errorf("time zone: %w", err)
	}
	return Period{From: contract.StartOfDay(loc, year, month, 1), To: contract.StartOfDay(loc, year, month+1, 1)}, nil
}

// seconds of the whole period.
func (p Period) seconds() int64 { return p.To.Unix() - p.From.Unix() }

// check makes sure that the period is a calendar month.
func (p Period) check(loc *time.Location) error {
	if from, to := contract.MonthOf(loc, p.From); !from.Equal(p.From) || !to.Equal(p.To) {
		return fmt.Errorf("period: %s until %s is not a calendar month in %s: make it with Month",
			p.From.In(loc).Format(time.RFC3339), p.To.In(loc).Format(time.RFC3339), loc)
	}
	return nil
}
