package contract

import (
	"strings"
	"testing"
)

// A contract by which an outage earns less the longer it lasts is refused, with the
// tiers by name.
func TestALongerOutageNeverEarnsLess(t *testing.T) {
	const head = `id: c
version: 1
title: Case
fictional: true
tenant: acme
project: llm
currency: USD
time_zone: UTC
begin: 2027-03-01
end: 2027-04-01
tranches: [{id: t1, kind: H100, fabric: ib, gpus: 16, delivery: 2027-03-01}]
rates: [{tranches: [t1], from: 2027-03-01, basis: month, price: 1000}]
unknown: {grace: 15m, then: up}
sla:
`
	any := "  - {metric: node-availability, tiers: [{below: 100%, credit: 100%}, {below: 90%, credit: 150%}]}\n"
	for name, c := range map[string]struct{ sla, want string }{
		"less after 4 hours":              {"  - {metric: replacement-time, after: 4h, tiers: [{below: 100%, credit: 50%}]}\n" + any, "sla[0].tiers[0].credit: 50 % is less than 150 %, sla[1].tiers[1]"},
		"less than the worst month earns": {"  - {metric: replacement-time, after: 4h, tiers: [{below: 100%, credit: 120%}, {below: 90%, credit: 200%}]}\n" + any, "120 % is less than 150 %"},
		"nothing in a good month":         {"  - {metric: replacement-time, after: 4h, tiers: [{below: 99%, credit: 200%}]}\n" + any, "sla[0].tiers[0].below: 99 %"},
		"nothing beyond a cap":            {"  - {metric: replacement-time, after: 4h, tiers: [{below: 100%, credit: 200%}], cap: 5%}\n" + any, "sla[0].cap"},
		"of one metric twice":             {"  - {metric: degraded, after: 2h, tiers: [{below: 100%, credit: 5%}]}\n  - {metric: degraded, tiers: [{below: 100%, credit: 10%}]}\n", "5 % is less than 10 %"},
		"a port after a node":             {"  - {metric: isolation-proven, after: 4h, tiers: [{below: 100%, credit: 100%}]}\n  - {metric: isolation-proven, tiers: [{below: 100%, credit: 100%}], ports: node}\n", "sla[0].ports"},
		"the owner's after either's":      {"  - {metric: isolation-proven, after: 4h, tiers: [{below: 100%, credit: 100%}]}\n  - {metric: isolation-proven, tiers: [{below: 100%, credit: 100%}], unclear: credited}\n", "sla[0].ports"},
		"a node after a port":             {"  - {metric: isolation-proven, after: 4h, tiers: [{below: 100%, credit: 100%}], ports: node}\n  - {metric: isolation-proven, tiers: [{below: 100%, credit: 100%}], unclear: credited}\n", ""},
		"the same ports":                  {"  - {metric: isolation-proven, after: 4h, tiers: [{below: 100%, credit: 100%}], unclear: credited}\n  - {metric: isolation-proven, tiers: [{below: 100%, credit: 100%}], unclear: credited}\n", ""},
		"more after 4 hours":              {"  - {metric: replacement-time, after: 4h, tiers: [{below: 100%, credit: 150%}]}\n" + any, ""},
		"other things":                    {"  - {metric: degraded, after: 2h, tiers: [{below: 100%, credit: 5%}]}\n" + any, ""},
		"less in a better month":          {"  - {metric: degraded, tiers: [{below: 100%, credit: 10%}, {below: 90%, credit: 5%}]}\n", "a worse month can't earn less"},
	} {
		_, err := Parse("c.yaml", []byte(head+c.sla))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, expected one that says %q", name, err, c.want)
		}
	}
}
