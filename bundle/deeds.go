package bundle

import (
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
)

// ActReport is one act under a contract that is in force, with who did it and how that is
// shown. What a deadline has answered is no act.
type ActReport struct {
	Act      string    `json:"act"`
	Contract string    `json:"contract"`
	About    string    `json:"about,omitempty"`
	Party    string    `json:"party"`
	By       string    `json:"by"`
	How      string    `json:"how"`           // by what it is shown that it is that party's
	Key      string    `json:"key,omitempty"` // fingerprint of the tenant's key that signed
	At       time.Time `json:"at"`
	Entry    uint64    `json:"entry"`
}

// deed is an act under a contract as its entry tells of it.
type deed struct {
	act             contract.Act
	contract, about string
	party, by       string
	shown           func() claim.Digest // what it comes to, as it was shown
	preview         claim.Digest        // that the entry names; zero: none
	assent          *contract.SignedAssent
	unread          error // of the assent
}

// done judges whose act it is: what was shown is what it comes to, and the tenant's is
// signed by a key of its own from when on it has one that signs every act.
func (v *verifier) done(d deed) {
	r := ActReport{Act: string(d.act), Contract: d.contract, About: d.about, Party: d.party, By: d.by, How: "the owner's own log", At: v.time, Entry: v.at.entry}
	subject := d.contract
	if d.about != "" {
		subject = d.about
	}
	signed := d.assent != nil || d.unread != nil
	if signed || !d.preview.IsZero() {
		v.budget.spend(40+len(d.about)+len(d.contract), "acts")
	}
	if !d.preview.IsZero() && d.preview != d.shown() {
		v.fail(v.at, CheckAct, subject, "what was shown before the act (%s) is not what it comes to (%s)", d.preview, d.shown())
	}
	switch {
	case d.party != contract.Tenant && signed:
		v.fail(v.at, CheckAssent, subject, "%s by the %s is signed as an act of the tenant's", d.act, d.party)
	case d.party != contract.Tenant:
	case d.unread != nil:
		v.fail(v.at, CheckAssent, subject, "%s: %v", d.act, d.unread)
	case d.assent == nil && !v.consent.keys.SignActs():
		r.How = "its token alone: the owner's word"
		v.consent.byToken++
	default:
		v.budget.spend(statementCost, "signatures of the tenant's")
		r.How = "a key that the log says is the tenant's"
		if d.assent != nil {
			r.Key = d.assent.Key
		}
		want := contract.ActAssent(d.act, v.policy.Site, v.tenant, d.contract, d.shown(), time.Time{}, time.Time{})
		if err := v.byOwnKey(d.assent, want); err != nil {
			r.How = "no signature that counts"
			v.fail(v.at, CheckAssent, subject, "%s: %v", d.act, err)
		} else if len(v.consent.trusted) > 0 {
			r.How = "a key that the policy names"
		}
	}
	v.budget.keep(perInvoice+2*int64(len(r.Act)+len(r.Contract)+len(r.About)+len(r.Party)+len(r.By)+len(r.Key)), "acts")
	v.consent.done = append(v.consent.done, r)
}

// mostActs is how many acts the page of the report lists.
const mostActs = 40

// actsText is the acts section of the report.
func (r *Report) actsText(p *printer) {
	if len(r.Acts) > 0 {
		p.line("\nActs under a contract")
	}
	for i := range r.Acts {
		if i == mostActs {
			p.line("  and %d more: -o json lists them", len(r.Acts)-i)
			break
		}
		a := &r.Acts[i]
		about := a.Contract
		if a.About != "" {
			about += ", " + a.About
		}
		p.line("  %s  %s of %s by the %s, %s (entry %d)", stamp(a.At), a.Act, claim.Line(about), a.Party, claim.Line(a.By), a.Entry)
		p.line("    shown by %s%s", a.How, keyText(a.Key))
	}
}
