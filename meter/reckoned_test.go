package meter

import (
	"flag"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/contract"
	"bulkhead/reckoning"
)

var reckonSeed = flag.Uint64("reckon-seed", 1, "first seed of the random contracts")

// The second reckoning, made from the contract's file by a package that knows nothing of
// this one, comes to the same cents: BULKHEAD_RECKONED random contracts, 1,000 unless it
// says otherwise, every month of each.
func TestTheSecondReckoningAgrees(t *testing.T) {
	contracts := 1000
	if testing.Short() {
		contracts = 200
	}
	if n, err := strconv.Atoi(os.Getenv("BULKHEAD_RECKONED")); err == nil {
		contracts = n
	}
	kinds, invoices := map[string]int{}, 0
	for seed := range uint64(contracts) {
		n, err := reckonOne(*reckonSeed+seed, kinds)
		invoices += n
		if err != nil {
			t.Fatalf("seed %d (-reckon-seed %d): %v", *reckonSeed+seed, *reckonSeed+seed, err)
		}
	}
	for _, kind := range []string{LineFee, LineUsage, LineTakeOrPay, LineLate, LineLateExtra, LineCredit, LineCap, LineStorage, LineCorrection, LineTax, LinePrepaid, LineEarlyEnd, LinePrepaidLeft, "prepaid-refund", "prepaid-forfeit",
		"notice", "terminate-early", "terminate-late", "reduce", "reduce after an early end", "silence"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s was ever drawn", kind)
		}
	}
	t.Logf("%d contracts, %d invoices agree to the cent: %v", contracts, invoices, kinds)
}

// reckonOne compares every month of one random contract.
func reckonOne(seed uint64, kinds map[string]int) (invoices int, err error) {
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, 2))}
	versions, files, err := d.contracts()
	if err != nil {
		return 0, err
	}
	if err := reckonReduced(versions, files); err != nil {
		return 0, err
	}
	for _, a := range d.acts {
		if kinds[a.Kind]++; a.Kind == "reduce" && versions[a.Version-1].Ending != nil {
			kinds["reduce after an early end"]++
		}
	}
	events := d.events(versions)
	looks := d.looks(versions, events)
	first, end := versions[0], versions[len(versions)-1].End
	var earlier []*Invoice
	var before []reckoning.Billed
	for at := first.Begin; at.Before(end); {
		loc := versions[len(versions)-1].Location()
		from, to := contract.MonthOf(loc, at)
		at = to
		quarters := 4
		if to.Before(end) { // some evidence comes later than the first invoices, and more than the second
			quarters = min(invoices+2, 4)
		}
		known := events[:len(events)*quarters/4]
		in := Input{Versions: versions, Events: known, Period: Period{from, to}, Number: fmt.Sprint("N-", invoices), Earlier: earlier}
		tell := reckoning.Told{Files: files, Acts: d.acts, Events: told(known), Billed: before}
		if looks != nil {
			in.Fabrics = looks.fabrics
			if in.Looks, tell.Seen, err = looks.first(len(looks.looked) * quarters / 4); err != nil {
				return invoices, err
			}
		}
		got, err := RateInput(in)
		if err != nil {
			return invoices, err
		}
		local := from.In(loc)
		want := reckoning.Month(tell, int64(local.Year()), int64(local.Month()))
		if a, b := plain(want.Lines), plain(flat(got)); a != b || want.Total != got.Total || want.Prepaid != balance(got) {
			return invoices, fmt.Errorf("%s: reckoned\n%s\ntotal %s, %s, the invoice says\n%s\n%s\n%s", local.Format(month), a, want.Total, want.Prepaid, b, got.Text(), files[0])
		}
		for _, l := range got.Lines {
			kinds[l.Kind]++
			if l.Kind == LinePrepaidLeft {
				kinds[l.ID]++
			}
		}
		if len(got.Silence) > 0 {
			kinds["silence"]++
		}
		invoices++
		earlier = append(earlier, got)
		// What was billed of each month so far, corrections included.
		charges := func(i *Invoice, of func(Line) bool) *big.Rat {
			sum := new(big.Rat)
			for _, l := range i.Lines {
				if of(l) {
					r, _ := new(big.Rat).SetString(l.Amount)
					sum.Add(sum, r)
				}
			}
			return sum
		}
		for i := range before {
			sum, _ := new(big.Rat).SetString(before[i].Amount)
			number := earlier[i].Number
			before[i].Amount = sum.Add(sum, charges(got, func(l Line) bool { return l.Corrects == number })).FloatString(3)
		}
		before = append(before, reckoning.Billed{Year: int64(local.Year()), Month: int64(local.Month()), Amount: charges(got, func(l Line) bool {
			return !slices.Contains([]string{LineCorrection, LineTax, LinePrepaid, LinePrepaidLeft, LineEarlyEnd}, l.Kind)
		}).FloatString(3)})
	}
	return invoices, nil
}

// reckonReduced compares what an act that gives up slots makes of the fees with what the
// second reckoning makes of the file before.
func reckonReduced(versions []*contract.Contract, files []string) error {
	for n := 1; n < len(versions); n++ {
		for _, t := range versions[n-1].Tranches {
			is := versions[n].TrancheByID(t.ID)
			if is == nil || is.GPUs == t.GPUs {
				continue
			}
			got := []string{}
			for _, r := range versions[n].Rates {
				got = append(got, r.Price.Rat().FloatString(9))
			}
			if want := reckoning.Reduced(files[n-1], t.ID, t.GPUs-is.GPUs, versions[n].Effective.Unix()); !slices.Equal(got, want) {
				return fmt.Errorf("version %d gives up %d GPUs of %s: prices %v, reckoned %v\n%s", n+1, t.GPUs-is.GPUs, t.ID, got, want, files[n-1])
			}
		}
	}
	return nil
}

// flat are an invoice's printed amounts by the names that the reference gives lines.
func flat(i *Invoice) map[string][]string {
	lines := map[string][]string{}
	corrected, some := new(big.Rat), false
	for _, l := range i.Lines {
		if l.Kind == LineCorrection {
			r, _ := new(big.Rat).SetString(l.Amount)
			corrected.Add(corrected, r)
			some = true
			continue
		}
		name, _, _ := strings.Cut(l.ID, "@")
		name, _, _ = strings.Cut(name, "#")
		// A level is named by its metric; what tells levels of one metric apart is not compared.
		parts := strings.Split(name, "/")
		if l.Kind == LineCredit || l.Kind == LineCap && len(parts) > 1 {
			for _, m := range []contract.Metric{contract.NodeAvailability, contract.ReplacementTime, contract.DegradedNodes, contract.IsolationProven, contract.Maintenance} {
				if strings.HasPrefix(parts[1], string(m)) {
					parts[1] = string(m)
				}
			}
			name = strings.Join(parts, "/")
		}
		lines[name] = append(lines[name], l.Amount)
	}
	if some && corrected.Sign() != 0 {
		digits, _ := contract.Digits(i.Currency)
		lines["correction"] = []string{corrected.FloatString(digits)}
	}
	return lines
}

func plain(lines map[string][]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(&out, name, slices.Sorted(slices.Values(lines[name])))
	}
	return out.String()
}

func told(events []Event) (out []reckoning.Event) {
	for _, e := range events {
		out = append(out, reckoning.Event{Entry: e.Entry, Lease: e.Lease, Tranche: e.Tranche, Slots: numbers(e.Slots), At: e.At.Unix(), State: string(e.State), Cause: e.Cause,
			Ports: reckoning.Ports{Owner: int64(e.Ports.Owner), Either: int64(e.Ports.Either), Tenant: int64(e.Ports.Tenant)}})
	}
	return out
}

// balance is where a prepayment stands, as the second reckoning writes it.
func balance(i *Invoice) string {
	if i.Prepaid == nil {
		return ""
	}
	return fmt.Sprintf("paid %s, drawn %s, left %s", i.Prepaid.Paid, i.Prepaid.Drawn, i.Prepaid.Left)
}

// asFile writes a contract as the file that it is read from, with the rules of its zone.
func asFile(c *contract.Contract) string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	at := func(t time.Time) string { return strconv.Quote(t.UTC().Format(time.RFC3339)) }
	list := func(ids []string) string {
		quoted := make([]string, len(ids))
		for i := range ids {
			quoted[i] = strconv.Quote(ids[i])
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	offset := func(s int) string { return strconv.Quote(time.Unix(0, 0).In(time.FixedZone("", s)).Format("-07:00")) }
	line("id: %s\nversion: %d\neffective: %s\ntitle: %q\nfictional: true\ntenant: %s\nproject: %s\ncurrency: %s\ntime_zone: %q", c.ID, c.Version, at(c.Effective), c.Title, c.Tenant, c.Project, c.Currency, c.TimeZone)
	line("begin: %s\nend: %s\nnotice_days: %d", at(c.Begin), at(c.End), c.NoticeDays)
	z := c.ZoneRules
	line("zone_rules:\n  version: %q\n  from: %s\n  until: %s\n  offset: %s", z.Version, at(z.From), at(z.Until), offset(z.OffsetS))
	if len(z.Changes) > 0 {
		line("  changes:")
	}
	for _, change := range z.Changes {
		line("    - {at: %s, offset: %s}", at(change.At), offset(change.OffsetS))
	}
	line("tranches:")
	for _, t := range c.Tranches {
		line("  - {id: %s, kind: %s, fabric: %s, gpus: %d, delivery: %s, end: %s, grace_days: %d", t.ID, t.Kind, t.Fabric, t.GPUs, at(t.Delivery), at(t.End), t.GraceDays)
		if t.NodeGPUs != 0 {
			line("     , node_gpus: %d", t.NodeGPUs)
		}
		if t.LateDiscount != "" {
			line("     , late_discount: %s", t.LateDiscount)
		}
		line("     }")
	}
	line("rates:")
	for _, r := range c.Rates {
		line("  - {tranches: %s, from: %s, to: %s, basis: %s, price: %s, clause: %q}", list(r.Tranches), at(r.From), at(r.To), r.Basis, r.Price, r.Clause)
	}
	if p := c.TakeOrPay; p != nil {
		line("take_or_pay: {tranches: %s, share: %s}", list(p.Tranches), p.Share)
	}
	if p := c.Prepaid; p != nil {
		early := ""
		if p.EarlyEnd != "" {
			early = ", early_end: " + p.EarlyEnd
		}
		line("prepaid: {amount: %s, from: %s, months: %d%s}", p.Amount, at(p.From), p.Months, early)
	}
	if len(c.SLA) > 0 {
		line("sla:")
	}
	for _, s := range c.SLA {
		var tiers []string
		for _, tier := range s.Tiers {
			tiers = append(tiers, fmt.Sprintf("{below: %s, credit: %s}", tier.Below, tier.Credit))
		}
		line("  - {metric: %s, after: %ds, allowance: %ds, tiers: [%s], exclusions: %s, clause: %q", s.Metric, s.AfterS, s.AllowanceS, strings.Join(tiers, ", "), list(s.Exclusions), s.Clause)
		if s.Cap != "" {
			line("     , cap: %s", s.Cap)
		}
		if s.Ports != "" {
			line("     , ports: %s", s.Ports)
		}
		if s.Unclear != "" {
			line("     , unclear: %s", s.Unclear)
		}
		line("     }")
	}
	if c.CreditCap != "" {
		line("credit_cap: %s", c.CreditCap)
	}
	line("unknown: {grace: %ds, then: %s}", c.Unknown.GraceS, c.Unknown.Then)
	if len(c.Storage) > 0 {
		line("storage:")
	}
	for _, v := range c.Storage {
		line("  - {id: %s, capacity_tb: %d, key_mode: %s, from: %s, to: %s, price: %s, clause: %q}", v.ID, v.CapacityTB, v.KeyMode, at(v.From), at(v.To), v.Price, v.Clause)
	}
	if len(c.Termination) > 0 {
		line("termination:")
	}
	for _, r := range c.Termination {
		line("  - {when: %s, after_days: %d, remedy: %s, by: %s, clause: %q", r.When, r.AfterDays, r.Remedy, r.By, r.Clause)
		if r.Fee != "" {
			line("     , fee: %s", r.Fee)
		}
		line("     }")
	}
	if c.Tax != nil {
		line("tax: {name: %q, rate: %s}", c.Tax.Name, c.Tax.Rate)
	}
	return out.String()
}
