package contract

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The zone database of this release is the one that ZoneVersion names.
func TestZonesAreOfTheirVersion(t *testing.T) {
	sum := sha256.Sum256(zones)
	if got := hex.EncodeToString(sum[:]); got != "8f55634d05f8bca1f7bc7c69c5933428c69357e0bdf565e5ba224e3f88ff12e8" {
		t.Errorf("zones/zoneinfo.zip has changed (%s): say which version it is now, in ZoneVersion and here", got)
	}
}

// casablanca is the rule of a zone as a database after this release's might have it:
// no change of clocks any more.
const casablanca = "Rule MaX 2026 only - Mar 22 2:00 0 -\nZone Africa/Casablanca 1:00 - +01 2026 Feb 15 3:00\n 0:00 - +00 2026 Mar 22 2:00\n 1:00 - +01 2026 Sep 20 2:00\n 0:00 - +00\n"

// other is a TZif file of a zone that is at +00 from 20 September 2026 on.
func other() []byte {
	at := func(day int, month time.Month) time.Time { return time.Date(2026, month, day, 2, 0, 0, 0, time.UTC) }
	return (&ZoneRules{OffsetS: 3600, Changes: []ZoneChange{{at(15, 2), 0}, {at(22, 3), 3600}, {at(20, 9), 0}}}).encode()
}

// One contract has one price and one digest, whatever the machine's zone database says,
// and whatever ZONEINFO names.
func TestThePriceIsOfTheSignedRules(t *testing.T) {
	text, err := os.ReadFile("testdata/cases/casa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	written := filepath.Join(dir, "zoneinfo", "Africa", "Casablanca")
	if err := os.MkdirAll(filepath.Dir(written), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(written, other(), 0o644); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", path+":/usr/sbin:/sbin")
	if zic, err := exec.LookPath("zic"); err == nil { // a real one where there is a compiler
		source := filepath.Join(dir, "casablanca.zic")
		if err := os.WriteFile(source, []byte(casablanca), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(zic, "-b", "fat", "-d", filepath.Join(dir, "zoneinfo"), source).CombinedOutput(); err != nil {
			t.Fatalf("zic: %v: %s", err, out)
		}
	}
	archive := filepath.Join(dir, "zones.zip")
	file, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	entry, err := w.CreateHeader(&zip.FileHeader{Name: "Africa/Casablanca", Method: zip.Store})
	if err == nil {
		_, err = entry.Write(other())
	}
	if err != nil || w.Close() != nil || file.Close() != nil {
		t.Fatal("the archive can't be written")
	}
	want := ""
	for _, zoneinfo := range []string{"", filepath.Join(dir, "zoneinfo"), archive} {
		// The database is read once a process: each has one of its own.
		cmd := exec.Command(os.Args[0], "-test.run", "^TestPrintCasa$", "-test.v")
		cmd.Env = append(os.Environ(), "BULKHEAD_PRINT_CASA=1", "ZONEINFO="+zoneinfo)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, line, _ := strings.Cut(string(out), "casa: ")
		line, _, _ = strings.Cut(line, "\n")
		machine, got, _ := strings.Cut(line, " ")
		if wantMachine := map[bool]string{true: "0", false: "3600"}[zoneinfo != ""]; machine != wantMachine {
			t.Errorf("ZONEINFO %q: the machine's offset is %s, expected %s: the test does not try what it is to try", zoneinfo, machine, wantMachine)
		}
		if want == "" {
			want = got
		}
		if got != want || !strings.HasPrefix(got, "42533.60 ") {
			t.Errorf("ZONEINFO %q: price and digest %s, expected %s, 42533.60 as signed", zoneinfo, got, want)
		}
	}
	// What was signed by other rules keeps them.
	signed, err := Parse("casa.yaml", append(text, "zone_rules: {version: 2026c, from: 2026-12-01, until: 2027-05-01, offset: \"+00:00\"}\n"...))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(signed.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Price(again); err != nil || p.Total != "42470.40" {
		t.Errorf("by the rules that it was signed with the price is %v, expected 42470.40 (%v)", p, err)
	}
	// And an amendment can't bring others.
	next, err := Parse("casa.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	next.Version, next.Effective, next.Title = 2, next.Begin.Add(24*time.Hour), "Trial casa, amended"
	if err := again.Amend(next); err == nil || !strings.Contains(err.Error(), "zone_rules") {
		t.Errorf("an amendment with other rules: %v", err)
	}
}

// TestPrintCasa is the child of TestThePriceIsOfTheSignedRules; without it there is nothing to do.
func TestPrintCasa(t *testing.T) {
	if os.Getenv("BULKHEAD_PRINT_CASA") == "" {
		return
	}
	data, err := os.ReadFile("testdata/cases/casa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("casa.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Price(c)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	_, machine := c.Begin.Add(24 * time.Hour).In(loc).Zone()
	println("casa:", machine, p.Total, c.Digest().String())
}

// The rules that a contract has in itself say the same as the database that they come
// from, at every instant of the term and beside it.
func TestSignedRulesAreThoseOfTheDatabase(t *testing.T) {
	names := []string{"UTC", "America/Los_Angeles", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo", "Antarctica/Troll", "Asia/Gaza", "Europe/Dublin"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "zone")
		begin := time.Unix(rapid.Int64Range(time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC).Unix()).Draw(t, "begin"), 0)
		c := &Contract{TimeZone: name, Begin: begin, End: begin.AddDate(rapid.IntRange(0, 20).Draw(t, "years"), 1, 0)}
		c.FixZone()
		f := &findings{}
		c.checkZone(f)
		if f.err() != nil {
			t.Fatal(f.err())
		}
		loc, err := Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		signed := c.Location()
		for range 20 {
			at := time.Unix(rapid.Int64Range(c.ZoneRules.From.Unix(), c.ZoneRules.Until.Unix()-1).Draw(t, "at"), 0)
			if a, b := at.In(loc).Format(time.RFC3339), at.In(signed).Format(time.RFC3339); a != b {
				t.Fatalf("%s: %s by the database, %s by the contract", name, a, b)
			}
		}
		from, to := MonthOf(signed, c.End)
		if a, b := MonthOf(loc, c.End); !a.Equal(from) || !b.Equal(to) {
			t.Fatalf("the month of the end is %s until %s by the contract, %s until %s by the database", from, to, a, b)
		}
	})
}
