package datadir

import (
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"bulkhead/custody"
	"bulkhead/run"
)

// ClockMark is what a server kept of its reckoning of time, nothing where none did.
func (d Dir) ClockMark() (run.ClockMark, error) {
	data, err := custody.ReadFile(d.Clock(), custody.Small)
	if errors.Is(err, fs.ErrNotExist) {
		return run.ClockMark{}, nil
	}
	if err != nil {
		return run.ClockMark{}, err
	}
	return run.ParseClockMark(data)
}

// CertainTime dates what is written while no server runs: a clock that has jumped dates
// nothing here either.
func (d Dir) CertainTime(head time.Time) time.Time {
	mark, _ := d.ClockMark() // without one the last entry is all that the clock is held against
	return run.CertainTime(run.WallClock{}, head, mark, run.DefaultDowntime)
}

// WriteClockMark keeps how the site's time stands to the machine's count.
func (d Dir) WriteClockMark(mark run.ClockMark) error {
	data, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	return custody.Replace(d.Clock(), append(data, '\n'))
}
