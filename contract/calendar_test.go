package contract

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestMonthsHaveTheirActualSeconds(t *testing.T) {
	for _, tc := range []struct {
		zone  string
		year  int
		month time.Month
		want  int64
	}{
		{"America/Los_Angeles", 2026, time.May, 31 * 86400},
		{"America/Los_Angeles", 2026, time.March, 31*86400 - 3600},
		{"America/Los_Angeles", 2026, time.November, 30*86400 + 3600},
		{"UTC", 2028, time.February, 29 * 86400},
		{"Australia/Lord_Howe", 2026, time.April, 30*86400 + 1800}, // half an hour of daylight saving
		{"Pacific/Apia", 2011, time.December, 30 * 86400},          // the 30th was skipped
	} {
		loc := mustZone(t, tc.zone)
		from, to := MonthOf(loc, time.Date(tc.year, tc.month, 15, 12, 0, 0, 0, loc))
		if got := to.Unix() - from.Unix(); got != tc.want {
			t.Errorf("%s %s %d: %d s, expected %d", tc.zone, tc.month, tc.year, got, tc.want)
		}
	}
}

// The first instant of a day is the only one whose day is that day and whose
// second before is another day, whatever the clocks do at midnight.
func TestStartOfDayIsTheFirstInstant(t *testing.T) {
	zones := []string{"America/Los_Angeles", "America/Sao_Paulo", "America/Santiago", "America/Havana", "Asia/Beirut",
		"Africa/Cairo", "Asia/Tehran", "Atlantic/Azores", "Australia/Lord_Howe", "Asia/Amman", "UTC", "Asia/Kolkata"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := Zone(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 365*60).Draw(t, "day"))
		start := StartOfDay(loc, day.Year(), day.Month(), day.Day())
		y, m, d := start.In(loc).Date()
		if y != day.Year() || m != day.Month() || d != day.Day() {
			t.Fatalf("%s: day %s starts at %s", loc, day.Format(time.DateOnly), start.In(loc))
		}
		if _, _, before := start.Add(-time.Second).In(loc).Date(); before == d {
			t.Fatalf("%s: day %s has begun before %s", loc, day.Format(time.DateOnly), start.In(loc))
		}
	})
}

func TestMidnightsThatComeTwiceOrNever(t *testing.T) {
	for _, tc := range []struct {
		zone  string
		year  int
		month time.Month
		day   int
		want  string
	}{
		{"America/Havana", 2026, time.November, 1, "2026-11-01T04:00:00Z"}, // 0:00 comes again after 0:59
		{"Asia/Beirut", 2026, time.March, 29, "2026-03-28T22:00:00Z"},      // 0:00 is skipped
		{"America/Sao_Paulo", 2018, time.November, 4, "2018-11-04T03:00:00Z"},
		{"America/Los_Angeles", 2026, time.May, 1, "2026-05-01T07:00:00Z"},
	} {
		if got := StartOfDay(mustZone(t, tc.zone), tc.year, tc.month, tc.day).Format(time.RFC3339); got != tc.want {
			t.Errorf("%s %d-%d-%d begins at %s, expected %s", tc.zone, tc.year, tc.month, tc.day, got, tc.want)
		}
	}
}

func TestZoneRefusesTheMachinesOwn(t *testing.T) {
	for _, name := range []string{"", "Local", "Mars/Olympus", "../etc/passwd", "/etc/localtime"} {
		if _, err := Zone(name); err == nil {
			t.Errorf("accepts zone %q", name)
		}
	}
}
