package meter

import (
	"fmt"
	"testing"
	"time"

	"bulkhead/contract"
)

const joinsAlike = `
id: alike
version: 1
title: What joins alike
fictional: true
tenant: acme
project: llm
currency: USD
time_zone: UTC
begin: 2027-03-01
end: 2027-04-01
tranches:
  - {id: t1, kind: H100, fabric: ib, gpus: 16, delivery: 2027-03-01}
rates:
  - {tranches: [t1], from: 2027-03-01, to: 2027-03-16T12:00:00Z, basis: month, price: 1250000000, clause: "4.1"}
  - {tranches: [t1], from: 2027-03-16T12:00:00Z, basis: month, price: 250000000, clause: "4.11"}
sla:
  - {metric: node-availability, tiers: [{below: 100%, credit: 100%}], exclusions: [power feed], clause: "6"}
  - {metric: node-availability, tiers: [{below: 100%, credit: 100%}], exclusions: [power, feed], clause: "6"}
unknown: {grace: 15m, then: up}
`

// Clause 4.1 at 1,250,000,000 and clause 4.11 at 250,000,000 are two fees, whatever their
// texts join to; so are two service levels whose exclusions only print alike.
func TestWhatJoinsAlikeIsNotOneLine(t *testing.T) {
	c, err := contract.Parse("alike.yaml", []byte(joinsAlike))
	if err != nil {
		t.Fatal(err)
	}
	march, err := Month(c.TimeZone, 2027, 3)
	if err != nil {
		t.Fatal(err)
	}
	tenth := c.Begin.Add(9 * 24 * time.Hour)
	i, err := Rate([]*contract.Contract{c}, []Event{
		{Entry: 1, Lease: "l", Tranche: "t1", Slots: "0-1", At: c.Begin, State: Up},
		{Entry: 2, Lease: "l", Tranche: "t1", Slots: "0", At: tenth, State: DownOwner, Cause: "power"},
		{Entry: 3, Lease: "l", Tranche: "t1", Slots: "1", At: tenth, State: DownOwner, Cause: "power feed"},
		{Entry: 4, Lease: "l", Tranche: "t1", Slots: "0-1", At: tenth.Add(31 * time.Hour), State: Up},
	}, march, "N-1")
	if err != nil {
		t.Fatal(err)
	}
	amounts := map[string][]string{}
	for _, l := range i.Lines {
		amounts[l.Kind] = append(amounts[l.Kind], l.Clause+": "+l.Amount)
	}
	if got := fmt.Sprint(amounts[LineFee]); got != "[4.1: 625000000.00 4.11: 125000000.00]" {
		t.Errorf("fees are %v", got)
	}
	// 31 of 744 hours of half the slots, by each of the two.
	if got := fmt.Sprint(amounts[LineCredit]); got != "[6: -26041666.67 6: -26041666.67]" {
		t.Errorf("credits are %v", got)
	}
}
