package contract

import (
	"fmt"
	"slices"

	"bulkhead/claim"
)

// Act is something that one party does under a contract, and that binds the other.
type Act string

// The acts of a contract.
const (
	ActAmend          Act = "amend"           // a new version: one party offers it, the other signs
	ActNotice         Act = "notice"          // ends the contract after its notice, without a reason
	ActTerminateEarly Act = "terminate-early" // ends it at the end of the day, for a fee
	ActTerminateLate  Act = "terminate-late"  // ends it at the end of the day, because it is late
	ActReduce         Act = "reduce"          // keeps what has come of a late tranche, at a lower fee
	ActAcknowledge    Act = "acknowledge"     // agrees to a replacement, for what it costs the one who runs on it
	ActConsent        Act = "consent"         // agrees to moves of nodes that work
	ActDispute        Act = "dispute"         // holds a line of an invoice, for a reason
	ActSettle         Act = "settle"          // answers a dispute: a credit note, or a refusal
)

// The roles that a token needs for an act, by party. They are the API's.
const (
	RoleFinance       = "finance"       // the owner's
	RoleAdministrator = "administrator" // a tenant's
)

// ActRule is one row of the table of acts.
type ActRule struct {
	Act     Act
	Says    string // what it does, for a person
	Confirm bool   // it can't be taken back: what it comes to is shown first, and confirmed by its digest

	parties func(c *Contract) ([]string, string)
}

// Acts is the table of acts: who may, and whether it is confirmed. It is the one place:
// the book decides by it, the verifier judges by it, the API and the command line show it.
func Acts() []ActRule { return slices.Clone(acts) }

var acts = []ActRule{
	{ActAmend, "puts a new version in force: one party offers it, the other signs", false, both},
	{ActNotice, "ends the contract after its notice, without a reason", true, (*Contract).mayNotice},
	{ActTerminateEarly, "ends the contract at the end of the day, for the fee of its clause", true, rights(WhenEarly, RemedyTerminate)},
	{ActTerminateLate, "ends the contract at the end of the day, because what was promised has not come", true, rights(WhenLate, RemedyTerminate)},
	{ActReduce, "keeps what has come of a late tranche, at a fee that is lower by what has not", true, rights(WhenLate, RemedyReduce)},
	{ActAcknowledge, "agrees to another node for a slot: what runs on the old one ends", false, only(Tenant)},
	{ActConsent, "agrees to moves of nodes that work: each is asked about again before it is made", false, only(Tenant)},
	{ActDispute, "holds one line of an invoice, and asks finance for an answer", false, only(Tenant)},
	{ActSettle, "answers a dispute, by a credit note or by a refusal", false, only(Owner)},
}

// RuleOf finds an act's row.
func RuleOf(a Act) (ActRule, bool) {
	at := slices.IndexFunc(acts, func(r ActRule) bool { return r.Act == a })
	if at < 0 {
		return ActRule{}, false
	}
	return acts[at], true
}

// Parties are those that the terms of a contract give the act to, and the clause that
// does; none: this contract gives it to nobody.
func (r ActRule) Parties(c *Contract) (parties []string, clause string) { return r.parties(c) }

// RoleOf is the role that acts for a party.
func RoleOf(party string) string {
	if party == Tenant {
		return RoleAdministrator
	}
	return RoleFinance
}

// May refuses a party an act that the contract's terms don't give it. The error says
// to whom they do.
func (c *Contract) May(a Act, party string) error {
	rule, ok := RuleOf(a)
	if !ok {
		return &claim.Problem{File: whole, Field: "act", Reason: fmt.Sprintf("%.40q is no act of a contract", string(a))}
	}
	parties, clause := rule.Parties(c)
	switch {
	case slices.Contains(parties, party):
		return nil
	case len(parties) == 0:
		return &claim.Problem{File: whole, Field: "act", Reason: fmt.Sprintf("%s: contract %s gives nobody this right", a, c.ID)}
	}
	return &claim.Problem{File: whole, Field: "act", Reason: fmt.Sprintf("%s: contract %s gives this right to the %s only (%s), not to the %s", a, c.ID, parties[0], clause, party)}
}

func both(*Contract) ([]string, string) {
	return []string{Owner, Tenant}, "one offers, the other signs"
}

func only(party string) func(*Contract) ([]string, string) {
	return func(*Contract) ([]string, string) { return []string{party}, "of every contract" }
}

// mayNotice: the rights of convenience say who may. A contract with a notice and without
// such a right gives it to the tenant alone: what its silence costs the owner is a slice
// that comes back, what it would cost the tenant is one that it runs on.
func (c *Contract) mayNotice() ([]string, string) {
	parties, clause := rights(WhenConvenience, RemedyTerminate)(c)
	if len(parties) == 0 && c.NoticeDays > 0 && !c.hasRight(WhenConvenience, RemedyTerminate) {
		return []string{Tenant}, "notice_days, and no right of convenience that names another"
	}
	if c.NoticeDays == 0 {
		return nil, ""
	}
	return parties, clause
}

func (c *Contract) hasRight(when, remedy string) bool {
	return slices.ContainsFunc(c.Termination, func(r Right) bool { return r.When == when && r.Remedy == remedy })
}

// rights are who may do what rights of one kind give.
func rights(when, remedy string) func(c *Contract) ([]string, string) {
	return func(c *Contract) (parties []string, clause string) {
		for _, party := range [...]string{Owner, Tenant} {
			if at := c.right(when, remedy, party); at >= 0 {
				parties = append(parties, party)
				clause = c.RightClause(at)
			}
		}
		return parties, clause
	}
}

// right is the first right of a kind that a party has, or -1. Of late ones the first in
// the contract is not always the one that arises first: see lateRight.
func (c *Contract) right(when, remedy, party string) int {
	return slices.IndexFunc(c.Termination, func(r Right) bool {
		return r.When == when && r.Remedy == remedy && (r.By == party || r.By == "either")
	})
}

// RightClause names a right.
func (c *Contract) RightClause(i int) string {
	return clause(c.Termination[i].Clause, "termination", i)
}
