// Package meter is what it costs: usage, credits and invoices, folded from the
// same ledger entries that both sides hold.
//
// Rate is a pure function of the versions of one contract, the events of its
// leases, a calendar month and a number. Events are intervals, not samples: each
// sets some slots to a state from one second on. The fold cuts every promised
// slot's month into states without a gap or an overlap, multiplies whole
// GPU-seconds by exact prices, and rounds once, at the line.
//
// What follows which rule, for each promised slot and second:
//
//	before the first event, or undelivered   late delivery: not paid, and LateDiscount on top after the grace
//	returned                                 no use; a flat fee and take-or-pay stay due
//	unknown                                  the contract's unknown rule, then as below
//	in a gap of Looks                        what was last said of it and, after the grace, the contract's unknown rule besides
//	any other state                          paid; the first matching SLA rule credits it, no other one does
//
// A slot that is handed over before its delivery date costs nothing until then.
package meter
