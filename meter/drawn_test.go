package meter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/reckoning"
)

// drawer draws contracts and events by the second, from a seed.
type drawer struct {
	*rand.Rand
	acts []reckoning.Act // that made versions
}

func (d *drawer) chance(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d *drawer, of ...T) T { return of[d.IntN(len(of))] }

// between is an instant, often a whole day's begin.
func (d *drawer) between(loc *time.Location, from, to time.Time) time.Time {
	t := from.Add(time.Duration(d.Int64N(to.Unix()-from.Unix())) * time.Second)
	if d.chance(50) {
		y, m, day := t.In(loc).Date()
		if t = contract.StartOfDay(loc, y, m, day); t.Before(from) {
			t = from
		}
	}
	return t
}

func (d *drawer) price() contract.Decimal {
	return pick[contract.Decimal](d, "3.95", "0.333333333", "1250000000", "250000000", "7", "0.01", "0", "999.99", "50000000")
}

func (d *drawer) clause() string { return pick(d, "", "4.1", "4.11", "4.", "4.1 1", "rates, item 1") }

// contracts draws the versions of one contract, with their files.
func (d *drawer) contracts() (versions []*contract.Contract, files []string, err error) {
	name := pick(d, "UTC", "America/Los_Angeles", "Australia/Lord_Howe", "Africa/Casablanca", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/Santiago")
	loc, err := contract.Zone(name)
	if err != nil {
		return nil, nil, err
	}
	begin := d.between(loc, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 12, 1, 0, 0, 0, 0, time.UTC))
	end := d.between(loc, begin.Add(20*24*time.Hour), begin.Add(75*24*time.Hour))
	c := &contract.Contract{
		ID: "c", Version: 1, Effective: begin, Title: "Drawn", Fictional: true, Tenant: "t", Project: "p", Currency: pick(d, "USD", "USD", "JPY", "KWD"), TimeZone: name,
		Begin: begin, End: end, NoticeDays: pick(d, 0, 5, d.IntN(31), d.IntN(91)), CreditCap: pick[contract.Decimal](d, "", "", "0.3", "1", "0.05"), Unknown: d.unknown(),
	}
	c.FixZone()
	for i := range 1 + d.IntN(3) {
		c.Tranches = append(c.Tranches, d.tranche(fmt.Sprint("t", i), loc, begin, end))
	}
	d.rates(c, loc)
	d.levels(c)
	for i := range d.IntN(3) {
		from := d.between(loc, begin, end)
		c.Storage = append(c.Storage, contract.Volume{ID: fmt.Sprint("v", i), CapacityTB: 1 + d.Int64N(30), KeyMode: "owner", From: from, To: d.after(loc, from, end), Price: d.price(), Clause: d.clause()})
	}
	if d.chance(50) {
		c.Tax = &contract.Tax{Name: "Tax", Rate: pick[contract.Decimal](d, "0.0825", "0.19", "0.333")}
	}
	if from, _ := contract.MonthOf(loc, begin); d.chance(50) {
		c.Prepaid = &contract.Prepaid{Amount: "600", From: from, Months: pick(d, 1, 2, 3), EarlyEnd: pick(d, "", contract.EarlyEndForfeit)}
	}
	d.rights(c)
	var hourly []string
	for _, t := range c.Tranches {
		if !slices.ContainsFunc(c.Rates, func(r contract.Rate) bool { return r.Basis == contract.PerMonth && slices.Contains(r.Tranches, t.ID) }) {
			hourly = append(hourly, t.ID)
		}
	}
	if len(hourly) > 0 && d.chance(60) {
		c.TakeOrPay = &contract.TakeOrPay{Tranches: hourly, Share: pick[contract.Decimal](d, "0.97", "1", "0.5")}
	}
	if c.Check() != nil && c.Prepaid != nil {
		c.Prepaid = nil // its months were outside the term
	}
	versions = []*contract.Contract{c}
	for range d.IntN(5) {
		if next := d.amend(versions[len(versions)-1], loc); next != nil {
			versions = append(versions, next)
		}
	}
	for i, v := range versions {
		text := asFile(v)
		read, err := contract.Parse("drawn.yaml", []byte(text))
		if err != nil {
			return nil, nil, fmt.Errorf("version %d: %w\n%s", i+1, err, text)
		}
		said := v.Clone()
		said.Ending = nil // which act made a version, no file says
		if !bytes.Equal(read.Encode(), said.Encode()) {
			return nil, nil, fmt.Errorf("the file is not the contract:\n%s\n%s", said.Encode(), read.Encode())
		}
		files = append(files, text)
	}
	return versions, files, nil
}

func (d *drawer) unknown() contract.Unknown {
	return contract.Unknown{GraceS: pick[int64](d, 0, 900, 3600, 5000, 86400), Then: pick(d, "up", "down-owner")}
}

// after is an instant after another one, or the end.
func (d *drawer) after(loc *time.Location, from, end time.Time) time.Time {
	if t := d.between(loc, from.Add(time.Second), end.Add(time.Second)); d.chance(60) && t.After(from) && !t.After(end) {
		return t
	}
	return end
}

func (d *drawer) tranche(id string, loc *time.Location, from, end time.Time) contract.Tranche {
	t := contract.Tranche{ID: id, Kind: "H100", Fabric: "ib", NodeGPUs: pick(d, 0, 0, 4), Delivery: from, End: end, Links: lease.Shared, Acceptance: contract.OnDelivery,
		GraceDays: pick(d, 0, 1, 3), LateDiscount: pick[contract.Decimal](d, "", "0", "0.5", "0.333")}
	if d.chance(50) {
		t.Delivery = d.between(loc, from, end)
	}
	t.End = d.after(loc, t.Delivery, end)
	t.GPUs = int64((1 + d.IntN(4)) * t.GPUsANode())
	return t
}

// rates prices all tranches: those of a fee together, the others each by the hour, some in
// two parts.
func (d *drawer) rates(c *contract.Contract, loc *time.Location) {
	c.Rates = nil
	var fee []string
	var first, last time.Time
	for i, t := range c.Tranches {
		if i > 0 && d.chance(50) || i == 0 && d.chance(30) {
			d.parts(c, loc, contract.Rate{Tranches: []string{t.ID}, From: t.Delivery, To: t.End, Basis: contract.PerGPUHour})
			continue
		}
		if len(fee) > 0 && (t.Delivery.After(last) || t.End.Before(first)) {
			d.parts(c, loc, contract.Rate{Tranches: []string{t.ID}, From: t.Delivery, To: t.End, Basis: contract.PerMonth})
			continue
		}
		if len(fee) == 0 || t.Delivery.Before(first) {
			first = t.Delivery
		}
		if len(fee) == 0 || t.End.After(last) {
			last = t.End
		}
		fee = append(fee, t.ID)
	}
	if len(fee) > 0 {
		d.parts(c, loc, contract.Rate{Tranches: fee, From: first, To: last, Basis: contract.PerMonth})
	}
}

func (d *drawer) parts(c *contract.Contract, loc *time.Location, r contract.Rate) {
	r.Price, r.Clause = d.price(), d.clause()
	if cut := d.after(loc, r.From, r.To); cut.Before(r.To) {
		next := r
		r.To, next.From = cut, cut
		if d.chance(70) {
			next.Price, next.Clause = d.price(), d.clause()
		}
		c.Rates = append(c.Rates, r, next)
		return
	}
	c.Rates = append(c.Rates, r)
}

// levels draws service levels until they are ones that a contract may have.
func (d *drawer) levels(c *contract.Contract) {
	for {
		c.SLA = nil
		for range d.IntN(6) {
			s := contract.SLA{Metric: pick(d, contract.NodeAvailability, contract.ReplacementTime, contract.DegradedNodes, contract.IsolationProven, contract.Maintenance),
				Cap: pick[contract.Decimal](d, "", "", "", "0.02", "0.5"), Clause: pick(d, "", "6", "6.1")}
			if s.Metric == contract.Maintenance {
				s.AllowanceS = pick[int64](d, 0, 3600, 12345, 86400)
			} else if s.Metric == contract.ReplacementTime || d.chance(40) {
				s.AfterS = pick[int64](d, 60, 3600, 7201, 86400)
			}
			s.Tiers = pick(d, []contract.Tier{{Below: "1", Credit: "1"}}, []contract.Tier{{Below: "1", Credit: "2"}, {Below: "0.9", Credit: "3"}},
				[]contract.Tier{{Below: "0.999", Credit: "0.1"}, {Below: "0.9", Credit: "0.5"}, {Below: "0.5", Credit: "2"}})
			s.Exclusions = pick(d, nil, nil, []string{"storm"}, []string{"power feed"}, []string{"power", "feed"})
			if s.Metric == contract.IsolationProven {
				s.Ports, s.Unclear = pick(d, "", contract.PortsNode), pick(d, "", contract.UnclearCredited)
			}
			c.SLA = append(c.SLA, s)
			if s.Metric == contract.IsolationProven && d.chance(30) { // the same but for how a port counts
				s.Ports = map[string]string{"": contract.PortsNode, contract.PortsNode: ""}[s.Ports]
				c.SLA = append(c.SLA, s)
			}
			if d.chance(30) { // the same but for one term
				if s.Metric == contract.IsolationProven && d.chance(50) {
					s.Ports, s.Unclear = pick(d, "", contract.PortsNode), pick(d, "", contract.UnclearCredited)
				}
				switch s.Tiers = slices.Clone(s.Tiers); d.IntN(4) {
				case 0:
					s.AfterS /= 2
				case 1:
					s.Tiers[len(s.Tiers)-1].Credit = "4"
				case 2:
					s.Cap = pick[contract.Decimal](d, "", "0.1")
				}
				s.Exclusions = pick(d, s.Exclusions, nil, []string{"power", "feed"}, []string{"storm"})
				if d.chance(50) { // what excludes comes first, or nothing comes behind it
					c.SLA[len(c.SLA)-1].Exclusions = []string{"power feed"}
				}
				c.SLA = append(c.SLA, s)
			}
		}
		err := c.Check()
		if err == nil || !strings.Contains(err.Error(), "sla[") {
			return
		}
	}
}

// amend draws a next version, or nil where what was drawn may not follow.
func (d *drawer) amend(c *contract.Contract, loc *time.Location) *contract.Contract {
	at := d.between(loc, c.Effective, c.End)
	if c.Ending != nil && d.chance(70) {
		return d.act(c, contract.ActReduce, at)
	}
	if d.chance(60) {
		return d.act(c, pick(d, contract.ActNotice, contract.ActTerminateEarly, contract.ActTerminateEarly, contract.ActTerminateLate, contract.ActReduce), at)
	}
	next := c.Clone()
	next.Version, next.Effective, next.Ending = c.Version+1, at, nil // it is signed, and no act's
	if d.chance(50) {
		d.levels(next)
	}
	if d.chance(40) {
		next.Unknown = d.unknown()
	}
	if d.chance(40) {
		next.CreditCap = pick[contract.Decimal](d, "", "0.2")
	}
	if d.chance(40) {
		for i := range next.Rates {
			if d.chance(60) {
				next.Rates[i].Price, next.Rates[i].Clause = d.price(), d.clause()
			}
		}
	}
	if d.chance(40) {
		t := d.tranche(fmt.Sprint("n", next.Version), loc, at.Add(time.Second), next.End)
		next.Tranches = append(next.Tranches, t)
		d.parts(next, loc, contract.Rate{Tranches: []string{t.ID}, From: t.Delivery, To: t.End, Basis: pick(d, contract.PerGPUHour, contract.PerMonth)})
	}
	if c.Amend(next) != nil {
		return nil
	}
	return next
}

// rights draws who may leave, and at what fee.
func (d *drawer) rights(c *contract.Contract) {
	for range d.IntN(7) {
		r := contract.Right{When: pick(d, contract.WhenEarly, contract.WhenEarly, contract.WhenConvenience, contract.WhenLate, contract.WhenLate), Remedy: contract.RemedyTerminate,
			By: pick(d, contract.Owner, contract.Tenant, "either"), Clause: d.clause()}
		if r.When == contract.WhenEarly {
			r.Fee = pick[contract.Decimal](d, "", "0.25", "1", "0.333")
		}
		if r.When == contract.WhenLate {
			r.AfterDays, r.Remedy = pick(d, 0, 3), pick(d, contract.RemedyTerminate, contract.RemedyReduce)
		}
		c.Termination = append(c.Termination, r)
	}
}

// act does an act, by one to whom the terms give it: the next version, or nil.
func (d *drawer) act(c *contract.Contract, act contract.Act, at time.Time) *contract.Contract {
	rule, _ := contract.RuleOf(act)
	parties, _ := rule.Parties(c)
	if len(parties) == 0 {
		return nil
	}
	by := pick(d, parties...)
	asked := contract.Asked{Act: act, Party: by, Given: at}
	for _, t := range c.Tranches {
		if act != contract.ActReduce || t.Slots() > 1 { // or there would be nothing to keep
			asked.Missing = append(asked.Missing, contract.Missing{Tranche: t.ID, Slots: 1})
		}
	}
	d.Shuffle(len(asked.Missing), func(i, j int) { asked.Missing[i], asked.Missing[j] = asked.Missing[j], asked.Missing[i] })
	out, err := c.Perform(asked)
	if err != nil {
		return nil
	}
	d.acts = append(d.acts, reckoning.Act{Version: out.Next.Version, Kind: string(act), Party: by})
	return out.Next
}

// events draws a history of every tranche's slots, in one lease or two, in the order of
// entries.
func (d *drawer) events(versions []*contract.Contract) (events []Event) {
	seen := map[string]bool{}
	for _, v := range versions {
		for i := range v.Tranches {
			t := &v.Tranches[i]
			if seen[t.ID] {
				continue
			}
			seen[t.ID] = true
			slots := t.Slots()
			for _, later := range versions { // what a version gives up has never come
				if is := later.TrancheByID(t.ID); is != nil {
					slots = min(slots, is.Slots())
				}
			}
			leases := map[string]int{"lease-" + t.ID: slots}
			if slots > 1 && d.chance(30) {
				leases = map[string]int{"one-" + t.ID: 1, "two-" + t.ID: slots - 1}
			}
			for _, name := range slices.Sorted(func(yield func(string) bool) {
				for n := range leases {
					if !yield(n) {
						return
					}
				}
			}) {
				if d.chance(70) { // mostly all of it comes at once, early
					events = append(events, Event{Lease: name, Tranche: t.ID, Slots: "0-" + fmt.Sprint(leases[name]-1), At: t.Delivery.Add(time.Duration(d.IntN(200000)-40000) * time.Second), State: Up})
				}
				for range d.IntN(12) {
					slots := ""
					for n := range leases[name] {
						if d.chance(60) {
							slots += fmt.Sprint(",", n)
						}
					}
					if slots == "" {
						continue
					}
					span := t.End.Sub(t.Delivery) + 48*time.Hour
					events = append(events, Event{Lease: name, Tranche: t.ID, Slots: slots[1:], At: t.Delivery.Add(time.Duration(d.Int64N(int64(span/time.Second))-86400) * time.Second),
						State: pick(d, append(States(), Up, Up, Up, Degraded, DownOwner, DownOwner, DownOwner, MaintenanceNoticed, IsolationUnproven, IsolationUnproven, Unknown, Unknown)...),
						Cause: pick(d, "", "", "storm: north", "stormy", "power", "power feed", "feed")})
				}
			}
		}
	}
	d.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	for i := range events {
		events[i].Entry = uint64(i + 1)
		if events[i].State == IsolationUnproven {
			events[i].Ports = pick(d, lease.Ports{}, lease.Ports{Owner: 1}, lease.Ports{Owner: 1}, lease.Ports{Either: 2}, lease.Ports{Tenant: 1},
				lease.Ports{Owner: 2, Either: 1, Tenant: 1}, lease.Ports{Owner: 6}, lease.Ports{Owner: 3, Either: 7}, lease.Ports{Either: 1, Tenant: 3})
		}
	}
	if n := len(events); n > 8 && d.chance(50) { // and some are told late
		late := n - 1 - d.IntN(n/4)
		at := d.IntN(late)
		moved := events[at]
		events = append(slices.Delete(events, at, at+1), moved)
		for i := range events {
			events[i].Entry = uint64(i + 1)
		}
	}
	return events
}
