package bundle

import (
	"bytes"
	"strings"
	"sync"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/meter"
	"bulkhead/site"
)

// covered is the nodes that an isolation certificate is about. It was read before.
func (c *isolationSays) covered() *site.Set {
	nodes, err := c.NodeSet(maxNodes)
	if err != nil {
		return site.NewSet(0)
	}
	return nodes
}

// delivered is which nodes of a lease are delivered, at every place of the log: a copy
// for each verdict would take the nodes times the verdicts.
type delivered struct {
	budget  *budget
	changes []deliveryChange
	most    int // nodes at once, at most
	count   int
	set     site.Set // at the change before done
	done    int
}

type deliveryChange struct {
	number uint32
	in     bool
}

func (h *delivered) add(number uint32)    { h.change(number, true) }
func (h *delivered) remove(number uint32) { h.change(number, false) }

func (h *delivered) change(number uint32, in bool) {
	h.budget.keep(16, "nodes that are handed over")
	h.changes = append(h.changes, deliveryChange{number, in})
	if in {
		h.count++
		h.most = max(h.most, h.count, int(number)/64)
	} else {
		h.count--
	}
}

// position is where the log stands.
func (h *delivered) position() int { return len(h.changes) }

// at is the nodes at a position; positions are asked for in ascending order. The set
// is valid until the next call.
func (h *delivered) at(position int) *site.Set {
	for ; h.done < position; h.done++ {
		if c := h.changes[h.done]; c.in {
			h.set.Add(site.Index(c.number))
		} else {
			h.set.Remove(site.Index(c.number))
		}
	}
	return &h.set
}

// once keeps lists that many statements repeat one time.
type once struct {
	lock  sync.Mutex
	chain claim.Chain
	lists map[int][]string // by number in chain
}

func (o *once) list(list []string, b *budget) []string {
	o.lock.Lock()
	defer o.lock.Unlock()
	if o.lists == nil {
		o.chain, o.lists = claim.Chain{}, map[int][]string{}
	}
	before := len(o.chain)
	key := o.chain.Of(claim.Strings(list)...)
	b.keep(perLink*int64(len(o.chain)-before), "assumptions of isolation certificates")
	if known, ok := o.lists[key]; ok {
		return known
	}
	b.keep(2*weightOf(list), "assumptions of isolation certificates")
	o.lists[key] = list
	return list
}

// perLink is what a link of a chain takes in its map, in bytes.
const perLink = 96

// weightOf is what a list of texts takes, in bytes.
func weightOf(list []string) int64 {
	bytes := int64(0)
	for _, s := range list {
		bytes += 32 + int64(len(s))
	}
	return bytes
}

// newWord is what one more word takes, in bytes, where it is new.
func newWord(words map[string]int, word string) int64 {
	if _, known := words[word]; known {
		return 0
	}
	return perWord + 2*int64(len(word))
}

// clauses is the steps of checking a contract: each of its parts may be held against
// each of the others.
func clauses(raw []byte) int {
	parts := bytes.Count(raw, []byte("{"))
	return 500 + len(raw) + parts*parts
}

// spendOnInvoice pays for rating an invoice, and every earlier one of its contract,
// again: each folds every change of a slot, and holds its lines against all others'.
func (v *verifier) spendOnInvoice(versions []*contract.Contract, events []meter.Event, told []toldLooks, leases int, earlier []*meter.Invoice, notes int) {
	const what = "invoices, rated again with all that came before them"
	work := 1000
	for _, c := range versions {
		parts := len(c.Tranches) + len(c.Rates) + len(c.Storage) + len(c.SLA)
		work += 1000 + 4*parts*parts
	}
	for i := range events {
		work += 4 + slotsOf(events[i].Slots)
		v.budget.spend(1, what)
	}
	for i := range told {
		work += (1 + len(told[i].body.Looks)) * (4 + leases)
	}
	lines := 0
	for _, e := range earlier {
		lines += len(e.Lines)
	}
	for range 1 + len(earlier) {
		v.budget.spend(work+4*lines*notes, what)
	}
}

// pricing is the steps of pricing a contract: each tranche that a rate is for may cut
// its time in two, and counts in each part.
func pricing(c *contract.Contract) int {
	steps := 100 + 8*len(c.Storage)
	for i := range c.Rates {
		n := len(c.Rates[i].Tranches)
		steps += 100 + len(c.Tranches)*(1+n/4)
	}
	return steps
}

// slotsOf is how many slots a range set names, at most the most that a contract has.
func slotsOf(set string) int {
	n := 0
	for part := range strings.SplitSeq(set, ",") {
		low, high, ranged := strings.Cut(part, "-")
		first, last := number(low), number(high)
		if !ranged {
			last = first
		}
		n += max(last-first, 0) + 1
	}
	return n
}

func number(text string) int {
	n := 0
	for _, c := range text {
		n = min(n*10+int(c-'0'), maxNodes)
	}
	return max(n, 0)
}
