package contract

import "fmt"

// checkLonger refuses service levels by which an outage earns less the longer it lasts.
// Where a rule that waits comes before one of its kind that waits less, an outage passes
// from the second to the first as it ages. So the first must credit every second at
// least as much as the second ever does, whatever the month was like: from its first
// tier on, which is for every month in which it applies, without a cap of its own, and
// of no fewer ports of a node.
//
// It is this that makes silence cost the tenant nothing: what nobody looked at can only
// make an outage longer.
func (c *Contract) checkLonger(f *findings) {
	for i := range c.SLA {
		for j := i + 1; j < len(c.SLA); j++ {
			a, b := &c.SLA[i], &c.SLA[j]
			if a.Metric.family() != b.Metric.family() || a.AfterS <= b.AfterS || !soundTiers(a.Tiers) || !soundTiers(b.Tiers) {
				continue
			}
			first, most := a.Tiers[0], b.Tiers[len(b.Tiers)-1]
			to := fmt.Sprintf("an outage passes to it from sla[%d] (%s) after %d s", j, b.Metric, a.AfterS)
			switch {
			case first.Below.Rat().Cmp(Decimal("1").Rat()) != 0:
				f.add(fmt.Sprintf("sla[%d].tiers[0].below", i), "%s: %s and in a better month earns nothing any more; begin with a tier below 100%% that credits at least %s", first.Below.Percent(), to, most.Credit.Percent())
			case first.Credit.Rat().Cmp(most.Credit.Rat()) < 0:
				f.add(fmt.Sprintf("sla[%d].tiers[0].credit", i), "%s is less than %s, sla[%d].tiers[%d]: %s, and a longer outage can't earn less than a shorter one",
					first.Credit.Percent(), most.Credit.Percent(), j, len(b.Tiers)-1, to)
			case a.Ports != PortsNode && (b.Ports == PortsNode || b.Unclear == UnclearCredited && a.Unclear != UnclearCredited):
				f.add(fmt.Sprintf("sla[%d].ports", i), "%s, which counts more of a node's ports: with the same ports and unclear as there, or ports: node, a longer outage earns no less", to)
			case a.Cap != "":
				f.add(fmt.Sprintf("sla[%d].cap", i), "%s, and beyond the cap a longer outage would earn less than a shorter one: leave it out, credit_cap is for all service levels together", to)
			}
		}
	}
}

// soundTiers reports whether tiers are what checkTiers asks for, as far as order goes.
func soundTiers(tiers []Tier) bool {
	for _, t := range tiers {
		if !t.Below.Valid() || !t.Credit.Valid() {
			return false
		}
	}
	return len(tiers) > 0
}
