package bundle

import (
	"fmt"
	"slices"

	"bulkhead/claim"
	"bulkhead/node"
)

// finish says of each node that was taken back how far it came: what was not
// shown by the end of the log is absent, and named.
func (v *verifier) finish() {
	if e, ok := splitEnvelope(v.c.signed); ok {
		if _, valid := v.policy.trustAt(claim.PurposeStatement, v.time)[e.keyID]; !valid {
			v.fail(logEntry{}, CheckSigner, "", "the bundle is signed by key %s, which the policy does not trust at %s", e.keyID, stamp(v.time))
		}
		v.signedBy = e.keyID
	}
	v.looksAsked()
	for _, id := range sorted(v.nodes) {
		n := v.nodes[id]
		if n.owner == nil || n.state == node.Delivered || n.state == node.Reserved {
			continue // reserved: its tenant is on it, and was before
		}
		missing := "its wipe is not shown yet"
		if !n.severed {
			missing = "neither fence nor wipe is shown yet"
		}
		v.dirty++
		v.proved = append(v.proved, claim.Claim{
			Subject: id, Sentence: "wiped after it was taken back", Grade: claim.Absent, Origin: "",
			Note: fmt.Sprintf("%s: at the checkpoint it is %s", missing, n.state),
		})
	}
}

// write fills in the report.
func (v *verifier) write() {
	r, m := v.report, v.c.manifest
	r.Proven = v.failed == 0
	r.Rejected, r.Unlisted, r.RejectedBy = v.findings, v.failed-len(v.findings), v.failures
	if r.Rejected == nil {
		r.Rejected = []Finding{}
	}
	r.Site, r.Tenant, r.SignedBy = m.Site, m.Tenant, v.signedBy
	r.Bodies, r.Bytes, r.From, r.Until = m.Bodies.Records, v.c.size, v.began, v.time
	r.Claims, r.Unproven, r.Invoices, r.HandedOver = v.proved, v.intervals, v.invoices, v.tally.handedOver
	for _, l := range v.order {
		r.Leases = append(r.Leases, v.leaseReport(l))
	}
	r.Contracts, r.Acts = v.consent.versions, v.consent.done
	r.Looks, r.Silence = v.looksReport(), v.silence()
	for _, c := range checks {
		r.Checks = append(r.Checks, string(c.Name))
	}
	r.NotProven = v.notProven()
}

func (v *verifier) leaseReport(l *leaseLog) LeaseReport {
	r := LeaseReport{
		Lease: string(l.Lease), Fabric: l.Fabric, Kind: l.Kind, Slots: len(l.slots),
		Billed: map[string]int{}, Verdicts: l.verdicts, Returned: !l.returned.IsZero(),
	}
	for slot, state := range l.billed {
		r.Billed[string(state)]++
		if n := v.numbers[l.slots[slot]]; n != nil && n.state == node.Delivered && n.owner == l {
			r.Delivered++
		}
	}
	if !l.returning.IsZero() {
		r.Billed = nil
	}
	return r
}

// notProven is what the reader must know before anything else.
func (v *verifier) notProven() []string {
	lines := []string{"not witnessed: the owner could show others a different log"}
	add := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		v.budget.keep(perWord+3*int64(len(line)), "what is not proven") // also while the report is written
		lines = append(lines, line)
	}
	if len(v.pins) == 0 {
		add("no older checkpoint was given: entries may have been left out, with everything that follows from them, before this log was first shown; pin this checkpoint (%d entries) for the next time", v.report.Checkpoint.Size)
	}
	v.consentNotProven(add)
	for _, o := range []claim.Origin{claim.Simulated, claim.Emulated} {
		if n := v.tally.statements[o]; n > 0 {
			add("%s devices: %d of %d pieces of evidence are about machines that are %s; they prove nothing about hardware", o, n, v.evidence(), o)
		}
	}
	if n := v.tally.statements[claim.Hardware]; n > 0 {
		add("origin: %d pieces of evidence say that they are of hardware: that is the owner's word, also for the %d turnover statements among them whose attestation key has no certificate of a maker whom the policy trusts", n, v.tally.unchained)
	}
	if v.tally.statementKeys > 0 {
		add("TPM: %d TPM quotes are judged by attestation keys that the owner's own statements name; nothing here binds a key to a chassis", v.tally.statementKeys)
	}
	if len(v.policy.Golden) == 0 && v.tally.handedOver > 0 {
		add("firmware: the policy names no golden values, so what nodes booted is compared with the owner's own word")
	}
	if v.tally.handedOver > 0 {
		add("isolation rests on signed read-back: it does not show that switches and NICs are honest; taps and silent mirrors are not covered")
		v.networks(add)
		add("memory-bus attacks and other physical access are out of scope: no confidentiality is claimed against them")
		add("turnover: which devices a node has is the owner's list; the nonces of its TPM quotes hang on the site's log, which a tenant does not see")
		add("time: every time in the log is the owner's clock")
		v.looksNotProven(add)
		add("health: what devices said of their health is in the owner's log only; compare the slots' states with your own monitoring")
	}
	v.openEnds(add)
	for _, id := range sorted(v.postures) {
		if p := v.postures[id]; len(p.Lacks) > 0 {
			add("management of %s: its manager lacks %s; the first: %s", id, count(len(p.Lacks), "guard"), p.Lacks[0])
		}
	}
	if len(v.volumes) > 0 {
		add("storage: who could reach the tenant's volumes is the backend's own list and its own receipts, passed on by the owner; who administers the backend is not covered")
	}
	if v.tally.drifts > 0 {
		add("drift: the read-back behind %s is held by the owner, because it shows other tenants' ports as well; the bundle has the entries only", count(v.tally.drifts, "drift entry"))
	}
	if n := len(v.order); n > 0 {
		add("placement: where the nodes of %s are, that they were free, and that fewer domains would not have done is the owner's word: nothing of it can be recomputed without the site and its occupancy; of %s, %d are about just these nodes in their order", count(n, "lease"), count(v.tally.placed, "placement certificate"), v.tally.placements)
		add("rivals: that no other tenant's log has the same nodes at the same time can't be seen in this one: two bundles may each hold and contradict each other; only a root log that tenants compare would show it")
	}
	if v.tally.hermetic > 0 {
		add("links: that the links of %s are nobody else's, and that the fabric routes so, is the owner's word; verified is that they are enough for any permutation of its traffic", count(v.tally.hermetic, "hermetic lease"))
	}
	if v.tally.ownersWord > 0 {
		add("replacement: %s that worked left a slot for the owner's reason, and the tenant had not answered in its time", count(v.tally.ownersWord, "node"))
	}
	if v.tally.atHost > 0 {
		add("drift: that %s showed at the host's end only, so that it is not credited as the owner's, is the owner's word", count(v.tally.atHost, "finding"))
	}
	if v.tally.takenOff > 0 {
		add("%s that were shown in this log before were taken off it by the owner (%s): what they said is not in it; older bundles and invoices have it", count(int(min(v.tally.takenOff, 1<<31)), "entry"), v.tally.whyTakenOff)
	}
	if v.dirty > 0 {
		add("%s that were taken back are not shown to be wiped by the end of this log (the claims name them)", count(v.dirty, "node"))
	}
	if open := slices.ContainsFunc(v.intervals, func(i Interval) bool { return i.Until.IsZero() }); open {
		add("isolation of some ports is not proven at the checkpoint (the last section of times names them)")
	}
	if v.tally.sitting > 0 {
		add("%s came into a lease with their tenant on them, as an adopted site was found: nobody wiped or attested them, and nothing says that they were clean, or whose they were before", count(v.tally.sitting, "node"))
	}
	if n := v.tally.unproven.count; n > 0 {
		add("%s did not come out as proven; the first: %s", count(n, "isolation verdict"), v.tally.unproven.first)
	}
	return append(lines, v.assumptions...)
}

func (v *verifier) evidence() int {
	total := 0
	for _, n := range v.tally.statements {
		total += n
	}
	return total
}
