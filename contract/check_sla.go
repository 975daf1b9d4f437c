package contract

import "fmt"

const month31S = 31 * 86400

// metrics says which fields a metric uses.
var metrics = map[Metric]struct{ after, allowance bool }{
	NodeAvailability: {after: true},
	ReplacementTime:  {after: true},
	DegradedNodes:    {after: true},
	IsolationProven:  {after: true},
	Maintenance:      {allowance: true},
}

// family is what a metric competes for: two rules of one family can match the
// same second, and then the first in the contract takes it.
func (m Metric) family() Metric {
	if m == ReplacementTime {
		return NodeAvailability
	}
	return m
}

func (c *Contract) checkSLA(f *findings) {
	if len(c.SLA) > 32 {
		f.add("sla", "%d service levels: at most 32", len(c.SLA))
		return
	}
	for i := range c.SLA {
		s, path := &c.SLA[i], fmt.Sprintf("sla[%d].", i)
		uses, known := metrics[s.Metric]
		if !known {
			f.add(path+"metric", "%.40q: expected node-availability, replacement-time, degraded, isolation-proven or maintenance", string(s.Metric))
			continue
		}
		checkSeconds(f, path+"after", s.AfterS, uses.after)
		checkSeconds(f, path+"allowance", s.AllowanceS, uses.allowance)
		if s.Metric == ReplacementTime && s.AfterS == 0 {
			f.add(path+"after", "expected the time that a replacement may take, such as 4h")
		}
		checkTiers(f, path, s.Tiers)
		checkPorts(f, path, s)
		checkShare(f, path+"cap", s.Cap, true, "1")
		checkText(f, path+"clause", s.Clause, 80)
		for j, cause := range s.Exclusions {
			field := fmt.Sprintf("%sexclusions[%d]", path, j)
			checkText(f, field, cause, 80)
			if cause == "" || contains(s.Exclusions[:j], cause) {
				f.add(field, "%q: expected a cause, once", cause)
			}
		}
		for j := range c.SLA[:i] {
			// Exclusions let seconds pass to the next rule: only a rule without
			// them takes all.
			if o := &c.SLA[j]; o.Metric.family() == s.Metric.family() && o.AfterS <= s.AfterS && len(o.Exclusions) == 0 {
				f.add(path+"metric", "%s never applies: sla[%d] (%s) comes first and takes every such second; put the narrower one first", s.Metric, j, o.Metric)
				break
			}
		}
	}
	c.checkLonger(f)
	checkSeconds(f, "unknown.grace", c.Unknown.GraceS, true)
	if c.Unknown.Then != "up" && c.Unknown.Then != "down-owner" {
		f.add("unknown.then", "%.20q: expected up or down-owner: what silence counts as after the grace", c.Unknown.Then)
	}
}

// What an isolation level says of ports.
const (
	PortsNode       = "node"     // one port that is not proven counts as the whole node
	UnclearCredited = "credited" // what the tenant could have made as well as the owner is credited
)

func checkPorts(f *findings, path string, s *SLA) {
	if s.Metric != IsolationProven && s.Ports+s.Unclear != "" {
		f.add(path+"ports", "only isolation-proven is about ports")
	}
	if s.Ports != "" && s.Ports != PortsNode {
		f.add(path+"ports", "%.20q: expected share, which is left out, or node", s.Ports)
	}
	if s.Unclear != "" && s.Unclear != UnclearCredited {
		f.add(path+"unclear", "%.20q: expected not-credited, which is left out, or credited", s.Unclear)
	}
}

func checkSeconds(f *findings, field string, s int64, used bool) {
	if !used && s != 0 {
		f.add(field, "this metric has no such field")
	} else if s < 0 || s > month31S {
		f.add(field, "%d s: expected 0 to 31 days", s)
	}
}

func checkTiers(f *findings, path string, tiers []Tier) {
	if len(tiers) == 0 || len(tiers) > 16 {
		f.add(path+"tiers", "%d tiers: expected 1 to 16", len(tiers))
		return
	}
	for i, t := range tiers {
		at := fmt.Sprintf("%stiers[%d].", path, i)
		okBelow := checkShare(f, at+"below", t.Below, false, "1")
		okCredit := checkShare(f, at+"credit", t.Credit, false, "10")
		if i == 0 || !okBelow || !okCredit {
			continue
		}
		if t.Below.Rat().Cmp(tiers[i-1].Below.Rat()) >= 0 {
			f.add(at+"below", "%s is not below %s, the tier before: list tiers from the best to the worst", t.Below, tiers[i-1].Below)
		}
		if t.Credit.Rat().Cmp(tiers[i-1].Credit.Rat()) < 0 {
			f.add(at+"credit", "%s is less than %s, the tier before: a worse month can't earn less", t.Credit, tiers[i-1].Credit)
		}
	}
}

func (c *Contract) checkStorage(f *findings) {
	if len(c.Storage) > MaxVolumes {
		f.add("storage", "%d volumes: at most %d", len(c.Storage), MaxVolumes)
		return
	}
	for i := range c.Storage {
		v, path := &c.Storage[i], fmt.Sprintf("storage[%d].", i)
		checkID(f, path+"id", v.ID)
		if c.volume(v.ID) != v {
			f.add(path+"id", "%q is used by an earlier volume: ids are unique", v.ID)
		}
		if v.CapacityTB < 1 || v.CapacityTB > 100_000_000 {
			f.add(path+"capacity_tb", "%d TB: expected 1 to 100000000", v.CapacityTB)
		}
		if v.BandwidthGbps < 0 || v.BandwidthGbps > 80_000_000 {
			f.add(path+"bandwidth_gbps", "%d Gb/s: expected 0 to 80000000 gigabits a second", v.BandwidthGbps)
		}
		if v.IOPS < 0 || v.IOPS > 1_000_000_000_000 {
			f.add(path+"iops", "%d: expected 0 to 1000000000000", v.IOPS)
		}
		if v.KeyMode != "owner" && v.KeyMode != "tenant" {
			f.add(path+"key_mode", "%.20q: expected owner or tenant: who holds the key", v.KeyMode)
		}
		c.span(f, path, "from", "to", v.From, v.To)
		checkPrice(f, path+"price", v.Price)
		checkText(f, path+"clause", v.Clause, 80)
	}
}

func (c *Contract) checkRights(f *findings) {
	if len(c.Termination) > 64 {
		f.add("termination", "%d rights: at most 64", len(c.Termination))
		return
	}
	for i, r := range c.Termination {
		path := fmt.Sprintf("termination[%d].", i)
		if r.When != WhenLate && r.When != WhenConvenience && r.When != WhenEarly {
			f.add(path+"when", "%.20q: expected late, convenience or early", r.When)
		}
		if r.AfterDays < 0 || r.AfterDays > 366 || r.When != WhenLate && r.AfterDays != 0 {
			f.add(path+"after_days", "%d: expected 0 to 366 days after a delivery date; 0 for what is not about lateness", r.AfterDays)
		}
		if r.When != WhenEarly && r.Fee != "" {
			f.add(path+"fee", "%.20q: only leaving early has a fee", string(r.Fee))
		}
		checkShare(f, path+"fee", r.Fee, true, "1")
		if r.When != WhenLate && r.Remedy == RemedyReduce {
			f.add(path+"remedy", "reduce keeps what has come of a late tranche: expected terminate where nothing is late")
		}
		if r.Remedy != RemedyTerminate && r.Remedy != RemedyReduce {
			f.add(path+"remedy", "%.20q: expected terminate or reduce", r.Remedy)
		}
		if r.By != "tenant" && r.By != "owner" && r.By != "either" {
			f.add(path+"by", "%.20q: expected tenant, owner or either", r.By)
		}
		checkText(f, path+"clause", r.Clause, 80)
	}
}
