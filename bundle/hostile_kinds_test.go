package bundle_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/prove"
	"bulkhead/site"
	"bulkhead/storage"
)

// manyParts signs an isolation certificate of many parts. A certificate assumes what its
// parts say, and no other text: of each part a line.
func manyParts(s *bundletest.Story, parts int, unknown bool) claim.Digest {
	c := s.Certificate(2, s.Slots...)
	last, unread := c.Fabrics[len(c.Fabrics)-1], 0
	for i := range parts {
		part := last
		part.Fabric, part.Role, part.Fencing = fmt.Sprintf("storage-%d", i), site.RoleStorage, fabric.FencedByDeadline
		part.Labels = slices.Clone(part.Labels)
		for j := range part.Labels {
			part.Labels[j].Label.Fabric = part.Fabric
		}
		ports := len(s.Slots) * part.Each
		if unknown {
			part.Proven, part.Unknown, part.Labels = 0, ports, nil
			unread += ports
		}
		c.Fabrics = append(c.Fabrics, part)
		c.Ports += ports
		c.Assumptions = append(c.Assumptions, part.Fabric+": an older writer's calls end within the driver's deadline; the device does not refuse them")
	}
	c.NotProven = slices.DeleteFunc(c.NotProven, func(line string) bool { return strings.Contains(line, "storage") })
	if unknown {
		c.Failed = append(c.Failed, prove.Failure{Check: prove.Checks()[0].String(), Fabric: last.Fabric, Ports: unread})
		c.Verdict, c.NotProven = prove.Unknown.String(), append([]string{"isolation: the verdict is unknown"}, c.NotProven...)
	}
	if err := c.Check(); err != nil {
		panic(err.Error()[:min(600, len(err.Error()))]) // or the verifier refuses it before it counts
	}
	return s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), prove.PredicateType, &c)
}

// verdicts repeats a certificate's verdict.
func verdicts(s *bundletest.Story, count int, certificate claim.Digest) {
	many(s, count, prove.KindVerdict, func(i int) any {
		return prove.Judged{Lease: string(s.Lease), Epoch: uint64(i + 2), Verdict: "proven", Ports: 9, Certificate: certificate}
	})
}

// lateBombs is one of each kind of entry of which a log may hold any number: what the
// verifier keeps of one, or looks through for one, is paid for before it is done.
var lateBombs = []bomb{
	{"moves that are proposed", func(s *bundletest.Story) {
		leases(s, 1, "64-30063", 30_000)
		many(s, 3000, lease.KindDefragProposed, func(i int) any {
			return lease.DefragProposed{Lease: "acme-1/x0", Proposal: uint64(len(s.Entries) + i + 1), Slots: "0-29999", Nodes: "40000-69999"}
		})
	}},
	{"swaps without end", func(s *bundletest.Story) {
		many(s, 100_000, lease.KindSwapped, func(i int) any {
			return lease.Swapped{Lease: s.Lease, Was: fmt.Sprint("n", i), WasIndex: uint32(i), Node: fmt.Sprint("n", i+1), Index: uint32(i + 1)}
		})
	}},
	{"quotes of many parts", func(s *bundletest.Story) {
		raw := s.Contract.Encode()
		parts := strings.Repeat(`{"tranche":"t1"},`, 7000) + `{"tranche":"t1"}`
		many(s, 100, contract.KindQuoted, func(i int) any {
			return rawf(`{"quote":"again%d","contract":%s,"expires":%q,"parts":[%s]}`, i, raw, s.Now.Add(hour).Format(time.RFC3339), parts)
		})
	}},
	{"verdicts over many assumptions", func(s *bundletest.Story) { verdicts(s, 20_000, manyParts(s, 150, false)) }},
	{"verdicts that are not proven, over many assumptions", func(s *bundletest.Story) {
		verdicts(s, 3000, manyParts(s, 1000, true)) // nothing is claimed of them: they are compared all the same
	}},
	{"keys of the tenant", func(s *bundletest.Story) {
		key := bundletest.KeyOf(s.Owner.Officer).String()
		many(s, 60_000, contract.KindKeyRegistered, func(int) any { return contract.KeyRegistered{Tenant: bundletest.Tenant, Key: key} })
		many(s, 60_000, contract.KindKeyRevoked, func(int) any { return contract.KeyRevoked{Tenant: bundletest.Tenant, Key: key} })
	}},
	{"invoices without a statement", func(s *bundletest.Story) {
		many(s, 200_000, meter.KindInvoiced, func(i int) any {
			return meter.Invoiced{Number: fmt.Sprintf("acme-%04d", i+1), Contract: "acme-1", From: s.Now.Add(time.Duration(i) * hour).Format(time.RFC3339), To: "x", Currency: "USD", Total: "0.00"}
		})
	}},
	{"disputes and credit notes", func(s *bundletest.Story) {
		// A tax line whose price, and credit notes whose amounts, take minutes to read.
		invoices(s, 1, fmt.Sprintf(billedLine, 1, "5.00", "")+`,{"id":"tax","kind":"tax","text":"","clause":"","formula":"","quantity":"1","unit":"","price":"1e999999","per":"","amount":"-5.00"}`)
		for i := range 4000 {
			line := "x1"
			s.Entries = append(s.Entries,
				entry(s, meter.KindDisputed, meter.Disputed{Number: "acme-0001", Line: line, Contested: "5.00", Currency: "USD", Signed: contract.Signature{Party: contract.Tenant}}),
				entry(s, meter.KindSettled, meter.Settled{Number: "acme-0001", Line: line, Outcome: meter.Credited, Note: fmt.Sprintf("acme-credit-%04d", i+1), Net: []string{"1e999999", "0.01", "x"}[i%3], Currency: "USD", Signed: contract.Signature{Party: contract.Owner}}))
		}
		s.Reseal()
	}},
	{"contracts of one version over and over", func(s *bundletest.Story) {
		many(s, 60_000, contract.KindTerminated, func(int) any {
			return contract.Acted{Contract: s.Contract.Encode(), Act: contract.ActTerminateEarly, Given: s.Now, Signed: contract.Signature{Party: contract.Owner}}
		})
	}},
	{"volumes and grants without end", func(s *bundletest.Story) {
		many(s, 100_000, storage.KindProvisioned, func(i int) any {
			b := storage.Provisioned{Contract: "acme-1"}
			b.Volume.Spec.ID = storage.VolumeID(fmt.Sprint("acme-1/v", i))
			return b
		})
		many(s, 60_000, storage.KindStray, func(i int) any {
			return storage.Stray{Volume: "acme-1/scratch", Principal: storage.Principal(fmt.Sprint("p", i))}
		})
	}},
	{"verdicts beside many nodes", func(s *bundletest.Story) {
		strangers(s, 100)
		c := s.Certificate(2, s.Slots...)
		c.Nodes = "0-1048575"
		d := s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), prove.PredicateType, &c)
		verdicts(s, 60_000, d)
	}},
}
