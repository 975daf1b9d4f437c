package run

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

const twoYears = 2 * 365 * 24 * time.Hour

// TestReckoning: what a clock shows at a start, by what it can be held against.
func TestReckoning(t *testing.T) {
	const day, hour = 24 * time.Hour, time.Hour
	for name, c := range map[string]struct {
		head   time.Time
		mark   ClockMark
		shown  time.Time
		synced bool
		right  bool
		now    time.Time // where it is not right
	}{
		"the first start of all":                             {shown: noon.Add(twoYears), right: true},
		"stopped and started":                                {head: noon, shown: noon.Add(time.Minute), right: true},
		"down for an hour":                                   {head: noon, shown: noon.Add(hour), right: true},
		"down for a night, and nobody tells the time":        {head: noon, shown: noon.Add(12 * hour), now: noon},
		"down for a night, and told the time":                {head: noon, shown: noon.Add(12 * hour), synced: true, right: true},
		"down for three days, and told the time":             {head: noon, shown: noon.Add(3 * day), synced: true, now: noon},
		"down for three days, the machine was not":           {head: noon, mark: ClockMark{"b", hour, noon}, shown: noon.Add(3*day + 10*time.Minute), right: true},
		"two years ahead of a machine that was up":           {head: noon, mark: ClockMark{"b", hour, noon}, shown: noon.Add(twoYears), synced: true, now: noon.Add(3 * day)},
		"a night ahead of a machine that was up":             {head: noon, mark: ClockMark{"b", hour, noon}, shown: noon.Add(3*day + 12*hour), synced: true, now: noon.Add(3 * day)},
		"a mark of another start of the machine":             {head: noon, mark: ClockMark{"a", hour, noon}, shown: noon.Add(3 * day), synced: true, now: noon},
		"a mark of a count that has gone back":               {head: noon, mark: ClockMark{"b", 100 * day, noon}, shown: noon.Add(3 * day), synced: true, now: noon},
		"a mark without a start":                             {head: noon, mark: ClockMark{"", hour, noon}, shown: noon.Add(3 * day), synced: true, now: noon},
		"centuries ahead":                                    {head: noon, shown: noon.Add(math.MaxInt64), synced: true, now: noon},
		"behind by less than a bound, which the writer sees": {head: noon, shown: noon.Add(-time.Minute), right: true},
		"behind by a year":                                   {head: noon, shown: noon.Add(-twoYears), synced: true, now: noon.Add(-twoYears)},
	} {
		t.Run(name, func(t *testing.T) {
			count := Count{Shown: c.shown, Since: 3*day + hour, Boot: "b"}
			if c.mark.Boot == "" {
				count.Boot = ""
			}
			r := reckonFrom(c.head, count, c.mark, DefaultDowntime)
			now, off, right := r.believe(c.shown, count.Since, func() bool { return c.synced })
			want := c.now
			if c.right {
				want = c.shown
			}
			if right != c.right || !now.Equal(want) {
				t.Errorf("the clock shows %s: right %t, the time is %s (%s off); expected %t, %s", c.shown, right, now, off, c.right, want)
			}
		})
	}
}

// TestReckoningWhileItRuns: jumps of a clock that is held against a count.
func TestReckoningWhileItRuns(t *testing.T) {
	never := func() bool { t.Error("whether others tell the time was asked, and is no proof"); return true }
	r := reckon(noon, 0)
	for i, step := range []struct {
		after       time.Duration // of the count, since noon
		shown       time.Duration // after noon
		right       bool
		now         time.Duration
		explanation string
	}{
		{time.Second, time.Second, true, time.Second, "in step"},
		{2 * time.Second, twoYears, false, 2 * time.Second, "two years ahead"},
		{5 * time.Second, twoYears + 3*time.Second, false, 5 * time.Second, "still"},
		{6 * time.Second, 6 * time.Second, true, 6 * time.Second, "and back"},
		{time.Minute, 45 * time.Minute, true, 45 * time.Minute, "a correction of less than the bound"},
		{2 * time.Minute, 80 * time.Minute, false, 46 * time.Minute, "one more, which together are beyond it"},
		{3 * time.Minute, 47 * time.Minute, true, 47 * time.Minute, "that was taken back"},
		{5 * time.Hour, 47 * time.Minute, false, 47 * time.Minute, "it has stood still"},
		{6 * time.Hour, 6 * time.Hour, true, 6 * time.Hour, "and goes again"},
	} {
		now, off, right := r.believe(noon.Add(step.shown), step.after, never)
		if right != step.right || !now.Equal(noon.Add(step.now)) {
			t.Errorf("step %d, %s: right %t, the time is noon + %s (%s off); expected %t, noon + %s", i, step.explanation, right, now.Sub(noon), off, step.right, step.now)
		}
	}
}

// TestReckoningNeverRunsAway: whatever a clock shows, and however often it is asked, the
// time is never further ahead of the count than one bound; where the clock is right it is
// the clock's, and no time is later than what the clock shows.
func TestReckoningNeverRunsAway(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 5))
		r := reckon(noon, 0)
		count, shown := time.Duration(0), noon
		for range 400 {
			passed := time.Duration(random.Int64N(int64(time.Minute)))
			count += passed
			shown = shown.Add(passed)
			switch random.IntN(6) {
			case 0: // small steps, always forward: the way to creep away
				shown = shown.Add(time.Duration(random.Int64N(int64(MaxJump))))
			case 1:
				shown = noon.Add(count) // set right
			case 2:
				shown = shown.Add(time.Duration(random.Int64N(int64(twoYears))) - twoYears/2)
			}
			now, _, right := r.believe(shown, count, func() bool { return true })
			if ahead := now.Sub(noon.Add(count)); ahead > MaxJump {
				t.Fatalf("seed %d: the time is %s ahead of the count", seed, ahead)
			}
			if right && !now.Equal(shown) || now.After(shown) {
				t.Fatalf("seed %d: the clock shows %s, right %t, the time is %s", seed, shown, right, now)
			}
			if off := shown.Sub(noon.Add(count)); right != (off <= MaxJump && off >= -MaxJump) {
				t.Fatalf("seed %d: %s off is right: %t", seed, off, right)
			}
		}
	}
}

// FuzzClockMark: whatever a file says, a clock that is not near the ledger's last entry
// is taken for right only where the file says so of this start of the machine.
func FuzzClockMark(f *testing.F) {
	f.Add([]byte(`{"boot":"b","since_ns":1,"time":"2026-07-01T12:00:00Z"}`), int64(time.Hour), int64(72*time.Hour))
	f.Add([]byte(`{"boot":"b","since_ns":9223372036854775807,"time":"0001-01-01T00:00:00Z"}`), int64(1), int64(1))
	f.Add([]byte(`{"boot":"","since_ns":-1,"time":""}`), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, since, ahead int64) {
		mark, err := ParseClockMark(data)
		if err != nil && mark != (ClockMark{}) {
			t.Fatalf("%v, and a mark: %+v", err, mark)
		}
		if since < 0 || ahead < 0 {
			return
		}
		count := Count{Shown: noon.Add(time.Duration(ahead)), Since: time.Duration(since), Boot: "b"}
		r := reckonFrom(noon, count, mark, 0)
		now, _, right := r.believe(count.Shown, count.Since, func() bool { return true })
		if right && time.Duration(ahead) > MaxJump && mark.Boot != "b" {
			t.Fatalf("%s ahead is right by %s", time.Duration(ahead), data)
		}
		if now.After(count.Shown) {
			t.Fatalf("the clock shows %s, the time is %s", count.Shown, now)
		}
	})
}
