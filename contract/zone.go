package contract

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ZoneVersion is the version of the zone database that this release holds: zoneinfo.zip
// as Go 1.26 ships it, in the public domain. The machine's own database, and ZONEINFO,
// are never asked: two machines would give one contract two prices.
const ZoneVersion = "2025c"

//go:embed zones/zoneinfo.zip
var zones []byte

// Zone loads a time zone of this release by its IANA name. The machine's own zone is
// refused: a contract means the same everywhere. What is signed has its rules in itself:
// see Contract.Location.
func Zone(name string) (*time.Location, error) {
	switch name {
	case "", "Local":
		return nil, errors.New("expected the name of a time zone, such as America/Los_Angeles or UTC")
	case "UTC":
		return time.UTC, nil
	}
	unknown := fmt.Errorf("%.60q is not a time zone: use an IANA name, such as America/Los_Angeles or UTC", name)
	if errZones != nil {
		return nil, fmt.Errorf("the zone database of this release: %w", errZones)
	}
	found := zoneFiles[name]
	if found == nil {
		return nil, unknown
	}
	file, err := found.Open()
	if err != nil {
		return nil, fmt.Errorf("the zone database of this release: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(file, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("the zone database of this release: %w", err)
	}
	loc, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, unknown
	}
	return loc, nil
}

// zoneFiles is the database of this release by the names in it. Whoever verifies asks for
// thousands of names.
var zoneFiles, errZones = readZones()

func readZones() (map[string]*zip.File, error) {
	all, err := zip.NewReader(bytes.NewReader(zones), int64(len(zones)))
	if err != nil {
		return nil, err
	}
	files := map[string]*zip.File{}
	for _, f := range all.File {
		if !f.FileInfo().IsDir() {
			files[f.Name] = f
		}
	}
	return files, nil
}

// isZone is Zone without its rules.
func isZone(name string) error {
	if zoneFiles[name] != nil {
		return nil
	}
	_, err := Zone(name)
	return err
}

// ZoneRules are the rules of the contract's time zone, as they were when it was signed.
// Governments change such rules, and with them how long a month is: what was signed
// stays. They are part of what is signed, so both sides count by the same ones.
type ZoneRules struct {
	Version string       `json:"version"`  // of the zone database that they come from
	From    time.Time    `json:"from"`     // they hold from here, ZoneMargin before the begin or earlier
	Until   time.Time    `json:"until"`    // until here, ZoneMargin after the end or later
	OffsetS int          `json:"offset_s"` // seconds east of UTC at From
	Changes []ZoneChange `json:"changes,omitempty"`
}

// ZoneChange is an instant from which on the zone has another offset.
type ZoneChange struct {
	At      time.Time `json:"at"`
	OffsetS int       `json:"offset_s"` // seconds east of UTC
}

// ZoneMargin is how far beyond the term the rules of the zone reach: the whole months
// that hold its ends, and days beside them.
const ZoneMargin = 40 * 24 * time.Hour

// zoneYears is how far beyond the end rules are written down all the same: an amendment
// that prolongs the contract goes on by those that were signed.
const zoneYears = 4

// maxZoneChanges is four a year over the longest term.
const maxZoneChanges = 4 * (MaxTermYears + zoneYears + 1)

// FixZone writes the rules of this release for the contract's zone and term into it,
// where it has none yet. It does nothing where zone or term are not sound: Check says so.
func (c *Contract) FixZone() {
	if c.ZoneRules != nil || !sound(c.Begin) || !sound(c.End) || !c.Begin.Before(c.End) || c.End.After(c.Begin.AddDate(MaxTermYears, 0, 0)) {
		return
	}
	loc, err := Zone(c.TimeZone)
	if err != nil {
		return
	}
	z := &ZoneRules{Version: ZoneVersion, From: c.Begin.Add(-ZoneMargin).UTC(), Until: c.End.AddDate(zoneYears, 0, 0).Add(ZoneMargin).UTC()}
	if last := time.Date(2201, 12, 1, 0, 0, 0, 0, time.UTC); z.Until.After(last) {
		z.Until = last
	}
	_, z.OffsetS = z.From.In(loc).Zone()
	for at, offset := z.From, z.OffsetS; ; {
		_, end := at.In(loc).ZoneBounds()
		if end.IsZero() || !end.Before(z.Until) {
			break
		}
		if !end.After(at) { // ZoneBounds ends the turn of a leap year where it begins
			end = at.Add(time.Minute).In(loc)
		}
		at = end
		if _, next := at.Zone(); next != offset {
			z.Changes, offset = append(z.Changes, ZoneChange{At: at.UTC(), OffsetS: next}), next
		}
	}
	c.ZoneRules = z
}

func sound(t time.Time) bool { y := t.UTC().Year(); return y >= 2000 && y <= 2200 }

// Location is the zone by the rules that the contract has in itself: every day and month
// of it is counted by them. UTC where it has none: Check refuses such a contract.
func (c *Contract) Location() *time.Location {
	z := c.ZoneRules
	if z == nil {
		return time.UTC
	}
	loc, err := time.LoadLocationFromTZData(c.TimeZone, z.encode())
	if err != nil {
		return time.UTC // Check has refused what can't be encoded
	}
	return loc
}

// encode is the rules as a TZif file, version 2 (RFC 9636), whose first transition lies
// before all time: what holds before it is nobody's guess.
func (z *ZoneRules) encode() []byte {
	head := func(out []byte, transitions, types, chars uint32) []byte {
		out = append(append(out, "TZif2"...), make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, transitions, types, chars} {
			out = binary.BigEndian.AppendUint32(out, n)
		}
		return out
	}
	n := len(z.Changes) + 1
	out := head(nil, 0, 1, 1)
	out = append(out, 0, 0, 0, 0, 0, 0, 0) // a type and a name that nobody reads
	out = head(out, uint32(n), uint32(n), 1)
	out = binary.BigEndian.AppendUint64(out, 1<<63) // the least of 64 bits
	for _, c := range z.Changes {
		out = binary.BigEndian.AppendUint64(out, uint64(c.At.Unix()))
	}
	for i := range n {
		out = append(out, byte(i))
	}
	kind := func(offset int) {
		out = binary.BigEndian.AppendUint32(out, uint32(int32(offset)))
		out = append(out, 0, 0) // neither daylight saving time, nor a name of its own
	}
	kind(z.OffsetS)
	for _, c := range z.Changes {
		kind(c.OffsetS)
	}
	return append(out, "\x00\n\n"...)
}

// offset is the offset that holds at an instant.
func (z *ZoneRules) offset(at time.Time) int {
	offset := z.OffsetS
	for _, c := range z.Changes {
		if !c.At.After(at) {
			offset = c.OffsetS
		}
	}
	return offset
}

// within are the changes after one instant and before another.
func (z *ZoneRules) within(from, until time.Time) (out []ZoneChange) {
	for _, c := range z.Changes {
		if c.At.After(from) && c.At.Before(until) {
			out = append(out, c)
		}
	}
	return out
}

// agree reports whether two sets of rules say the same of all the time that both are about.
func (z *ZoneRules) agree(o *ZoneRules) bool {
	from, until := latest(z.From, o.From), earliest(z.Until, o.Until)
	return z.offset(from) == o.offset(from) && slices.EqualFunc(z.within(from, until), o.within(from, until), func(a, b ZoneChange) bool {
		return a.At.Equal(b.At) && a.OffsetS == b.OffsetS
	})
}

// checkZone checks the rules of the zone, once the term is sound.
func (c *Contract) checkZone(f *findings) {
	// The rules are what counts, but a reader knows a zone by its name: one that no database
	// has, with rules beside it, is none.
	if err := isZone(c.TimeZone); err != nil {
		f.add("time_zone", "%v", err)
		return
	}
	checkText(f, "time_zone", c.TimeZone, 60)
	if !sound(c.Begin) || !sound(c.End) {
		return // said already
	}
	z := c.ZoneRules
	if z == nil {
		f.add("zone_rules", "are missing: a contract holds the rules of its time zone, as they were when it was made")
		return
	}
	if z.Version == "" || len(z.Version) > 32 {
		f.add("zone_rules.version", "%.40q: expected the version of the zone database, such as %s", z.Version, ZoneVersion)
	}
	checkText(f, "zone_rules.version", z.Version, 32)
	if z.From.After(c.Begin.Add(-ZoneMargin)) || z.Until.Before(c.End.Add(ZoneMargin)) || z.From.UTC().Year() < 1999 || z.Until.UTC().Year() > 2201 {
		f.add("zone_rules.from", "they are about %s until %s: expected %d days more at either end of the term", stamp(z.From), stamp(z.Until), ZoneMargin/(24*time.Hour))
		return
	}
	if len(z.Changes) > maxZoneChanges {
		f.add("zone_rules.changes", "%d: at most %d", len(z.Changes), maxZoneChanges)
		return
	}
	at, offset := z.From, z.OffsetS
	checkOffset(f, "zone_rules.offset", z.OffsetS)
	for i, change := range z.Changes {
		field := fmt.Sprintf("zone_rules.changes[%d].", i)
		checkOffset(f, field+"offset", change.OffsetS)
		if !change.At.After(at) || !change.At.Before(z.Until) || change.At.Nanosecond() != 0 {
			f.add(field+"at", "%s: expected whole seconds after %s, before %s", stamp(change.At), stamp(at), stamp(z.Until))
		}
		if change.OffsetS == offset {
			f.add(field+"offset", "nothing changes then")
		}
		at, offset = change.At, change.OffsetS
	}
}

func checkOffset(f *findings, field string, offset int) {
	if offset < -18*3600 || offset > 18*3600 {
		f.add(field, "%d s: expected at most 18 hours east or west of UTC", offset)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
