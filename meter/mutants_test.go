//go:build mutants

package meter

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fault is one that is planted: text of a file that occurs once, and what stands in its place.
type fault struct{ name, file, was, is string }

var faults = []fault{
	{"lines of two clauses merge", "lines.go", `oneLine{s.theTranche().ID, s.version.RateClause(s.rate),`, `oneLine{s.theTranche().ID, "",`},
	{"lines of two prices merge", "lines.go", `s.theRate().Basis, s.theRate().Price, s.owed, extra}`, `s.theRate().Basis, "", s.owed, extra}`},
	{"lines of two quantities merge", "lines.go", `s.theRate().Price, s.owed, extra}`, `s.theRate().Price, 0, extra}`},
	{"what is late is owed", "lines.go", `s.gpus(s.slots*(s.to-s.from)-s.usage[undelivered])`, `s.gpus(s.slots*(s.to-s.from))`},
	{"a minimum that is reached has a line", "lines.go", `if short.Sign() <= 0 {`, `if short.Sign() < 0 {`},
	{"no grace", "lines.go", `if t := s.theTranche(); s.late && t.LateDiscount`, `if t := s.theTranche(); t.LateDiscount`},
	{"late by the hour is taken off", "lines.go", `if s.theRate().Basis == contract.PerMonth {`, `if s.theRate().Basis != "" {`},
	{"the whole price as late discount", "lines.go", `exact.Mul(exact, t.LateDiscount.Rat())`, `_ = t`},
	{"a fee before its version", "rate.go", `max(from, b.from, r.From.Unix())`, `max(from-3600, b.from, r.From.Unix())`},
	{"fees of two clauses merge", "rate.go", `terms{v.RateClause(j), r.Price,`, `terms{"", r.Price,`},
	{"fees of two lists merge", "rate.go", `lists.Of(claim.Strings(r.Tranches)...)}`, `lists.Of()}`},
	{"volumes merge", "rate.go", `terms{s.ID, v.VolumeClause(j), s.CapacityTB, s.Price}`, `terms{"", v.VolumeClause(j), 0, s.Price}`},
	{"a terabyte whatever the capacity", "rate.go", `exact.Mul(exact, big.NewRat(u.of.CapacityTB, 1))`, ``},
	{"no tax on corrections", "rate.go", "for _, s := range b.sums {\n", "for kind, s := range b.sums {\n\t\tif kind == LineCorrection {\n\t\t\tcontinue\n\t\t}\n"},
	{"an instalment too many", "rate.go", `for range p.Months {`, `for range p.Months + 1 {`},
	{"rounded twice", "rate.go", `line.Amount = exact.FloatString(b.digits)`, `twice, _ := new(big.Rat).SetString(exact.FloatString(b.digits + 1)); line.Amount = twice.FloatString(b.digits)`},
	{"levels with other exclusions merge", "sla.go", `append(terms, claim.Strings(s.Exclusions)...)`, `terms`},
	{"the first tier counts", "sla.go", `			worst = t
`, `			worst = t
			break
`},
	{"charges without what is late", "sla.go", `LineLate, LineLateExtra)`, `LineLate)`},
	{"a cap below nothing", "sla.go", `		limit.SetInt64(0)
`, `		limit.Mul(limit, charges)
`},
	{"credit_cap before other caps", "sla.go", `sum.Add(sum, b.capLine("sla-cap/"`, `new(big.Rat).Add(sum, b.capLine("sla-cap/"`},
	{"the last level takes", "credit.go", `st.taker = st.match[0]`, `st.taker = st.match[len(st.match)-1]`},
	{"outages wait a step longer", "credit.go", `v.SLA[rule].AfterS <= age`, `v.SLA[rule].AfterS < age`},
	{"outages begin with the month", "credit.go", `from, to := max(a, start+st.age), b`, `from, to := max(a, max(start, f.from)+st.age), b`},
	{"exclusions need the whole cause", "credit.go", `ok && (rest == "" || rest[0] == ':')`, `ok && rest == ""`},
	{"exclusions by any beginning", "credit.go", `ok && (rest == "" || rest[0] == ':')`, `ok && len(rest) >= 0`},
	{"an allowance a piece", "credit.go", `max(0, used+(b-a)-seg`, `max(0, (b-a)-seg`},
	{"degraded is unproven", "credit.go", `return effect == isolationUnproven`, `return effect == isolationUnproven || effect == degraded`},
	{"a new cause is a new outage", "fold.go", `} else if s.said = row.cause; s.effect != row.state {`, `} else if s.said = row.cause; true {`},
	{"silence begins outages anew", "fold.go", `return effect, s.start, from // a running outage goes on`, `return effect, from, from`},
	{"what was given back is late", "fold.go", `back := min(tr.returned, others)`, `back := min(tr.returned, 0)`},
	{"silence takes back", "fold.go", `if row.state == unknown && (s.state == undelivered || s.state == returned) {`, `if row.state == unknown && s.state == undelivered {`},
	{"versions overlap", "terms.go", `to = min(to, t.versions[i+1].Effective.Unix())`, `to = min(to, t.versions[i+1].Effective.Unix()+3600)`},
	{"grace to the end of its stretch", "terms.go", `late: marks[i-1] >= grace,`, `late: marks[i-1] > grace,`},
	{"months of 730 hours", "terms.go", `big.NewInt(month))`, `big.NewInt(730*3600+0*month))`},
	{"ended tranches share a fee", "terms.go", `t.Delivery.Unix() <= at && at < t.End.Unix()`, `t.Delivery.Unix() <= at`},
	{"every port is a node", "credit.go", `return seconds * min(st.gpus[at], all)`, `return seconds * all`},
	{"more ports than GPUs", "credit.go", `return seconds * min(st.gpus[at], all)`, `return seconds * st.gpus[at]`},
	{"what is unclear is credited", "credit.go", `if rule.Unclear == contract.UnclearCredited {`, `if rule.Unclear != "-" {`},
	{"silence forgets ports", "credit.go", `if effect == isolationUnproven && s.state == unknown {`, `if effect == codes {`},
	{"levels with other ports merge", "sla.go", `s.Cap, s.Ports, s.Unclear, len(s.Tiers)}`, `s.Cap, len(s.Tiers)}`},
	{"other ports are no news", "changes.go", `e.At.Unix(), lease: c.Lease(e.Lease, e.Tranche), cause: c.CauseAt(e.Cause, e.Ports)`, `e.At.Unix(), lease: c.Lease(e.Lease, e.Tranche), cause: c.Cause(e.Cause)`},
	{"the end is settled each month", "ending.go", `b.last.Ending != nil && b.last.End.Unix() <= b.to`, `b.last.Ending != nil`},
	{"no tax on the fee for leaving", "rate.go", "	b.endingFee()\n	b.tax()\n", "	b.tax()\n	b.endingFee()\n"},
	{"the owner's act forfeits", "../contract/ending.go", `was.EarlyEnd == EarlyEndForfeit && a.Party == Tenant`, `was.EarlyEnd == EarlyEndForfeit`},
	{"what an act left is forgotten", "../contract/ending.go", `refund, forfeit = was.Refund.Rat(), was.Forfeit.Rat()`, `_ = was`},
	{"a fee of what is over", "../contract/ending.go", `c.share(right.Fee, Value(c, ends, c.End, nil))`, `c.share(right.Fee, Value(c, a.Given, c.End, nil))`},
	{"what is given up is paid for", "../contract/ending.go", `price.Mul(price, big.NewRat(is, was))`, `price.Mul(price, big.NewRat(was, was))`},
	{"what is given up lowers the fee for leaving", "../contract/ending.go", `	t.GPUs = p.GPUs
`, `	t.GPUs = p.GPUs
	if next.Ending != nil {
		next.Ending.Fee = ""
	}
`},
	{"silence has no grace", "silence.go", `turns = min(turns, begins+v.Unknown.GraceS)`, `turns = min(turns, begins)`},
	{"silence by the rule that began it alone", "silence.go", `		if begins = max(begins, from); begins < ends &&`, `		if begins = max(begins, from); begins == from && begins < ends &&`},
	{"silence whatever the rule says", "silence.go", `begins < ends && v.Unknown.Then == "down-owner" {`, `begins < ends {`},
	{"silence before what was said", "silence.go", `		case one.taker >= 0:
`, `		case one.taker >= 0 && two.taker < 0:
`},
	{"silence is a new outage", "silence.go", `goesOn := s.downTo == from && s.down < s.downTo`, `goesOn := s.downTo == from && s.down < s.downTo && s.downSilent == v.silent`},
	{"a word after silence is a new outage", "silence.go", `if !goesOn || !v.silent && !s.downSilent && v.start == from {`, `if !goesOn || !v.silent && v.start == from {`},
	{"silence does not count in the availability", "silence.go", `				seg.matched[rule] += seg.gpus(y - x)
`, `				seg.matched[rule] += 0 * seg.gpus(y-x)
`},
	{"silence over maintenance is free", "silence.go", `case two.taker >= 0 && x < given:`, `case two.taker >= 0 && x < given && v.effect != maintenanceNoticed:`},
	{"exclusions are about silence", "silence.go", `unsaid := f.plan(seg, downOwner, f.unasked)`, `unsaid := f.plan(seg, downOwner, s.cause)`},
	{"nobody asks the nodes", "looks.go", `append([]string{""}, fabrics...)`, `fabrics`},
	{"only the nodes are asked", "looks.go", `append([]string{""}, fabrics...)`, `[]string{""}`},
	{"silences that touch are one", "looks.go", `g.From.Before(merged[n-1].Until)`, `!g.From.After(merged[n-1].Until)`},
	{"silences that overlap are two", "looks.go", `g.From.Before(merged[n-1].Until)`, `g.From.Before(merged[n-1].From)`},
	{"silence ends with the last look", "looks.go", `		gap(until, 0)
`, ``},
	{"silence begins with the first look", "looks.go", `at, entry := l.Since, l.First`, `at, entry := l.Until(fabric), l.First
		if seen := l.Seen[fabric]; len(seen) > 0 {
			at = seen[0].From
		}`},
	{"corrections are forgotten", "correct.go", `l.Kind == LineCorrection && l.Corrects == was.Number`, `l.Kind == LineCorrection && l.Corrects == was.Number+was.Number`},
}

// Every fault planted in the meter, or in what a contract comes to when it ends, is caught by the second reckoning alone. A fault whose text
// is not there any more must be planted anew.
func TestTheSecondReckoningCatchesPlantedFaults(t *testing.T) {
	for i, f := range faults {
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			source, err := os.ReadFile(f.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), f.was); n != 1 {
				t.Fatalf("fault %d: %q is in %s %d times, expected once", i, f.was, f.file, n)
			}
			dir := t.TempDir()
			planted := filepath.Join(dir, filepath.Base(f.file))
			if err := os.WriteFile(planted, []byte(strings.Replace(string(source), f.was, f.is, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			here, err := filepath.Abs(f.file)
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {here: planted}})
			if err != nil {
				t.Fatal(err)
			}
			list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "meter.test")
			if err := os.WriteFile(list, overlay, 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("go", "test", "-vet=off", "-ldflags=-s -w", "-c", "-overlay", list, "-o", binary, ".").CombinedOutput(); err != nil {
				t.Fatalf("a fault that does not compile shows nothing: %s", out)
			}
			cmd := exec.Command(binary, "-test.run", "^TestTheSecondReckoningAgrees$")
			cmd.Env = append(os.Environ(), "BULKHEAD_RECKONED=10000")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "seed ") && !strings.Contains(string(out), "panic:") {
				t.Errorf("not caught by 10,000 random contracts: %s", out)
			}
		})
	}
	if len(faults) < 30 {
		t.Errorf("only %d faults are planted", len(faults))
	}
}
