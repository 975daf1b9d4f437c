package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bulkhead/claim"
	"bulkhead/lease"
)

// Limits on what a tranche may leave open. Each settlement is planned before one
// of them is offered.
const (
	MaxKinds       = 8  // kinds that a tranche accepts
	MaxSettlements = 32 // ways in which a contract may be settled
)

// KindText is the kind of a tranche for a person: what it accepts while that is
// open.
func (t *Tranche) KindText() string {
	if t.open() {
		return strings.Join(t.Kinds, " or ")
	}
	return t.Kind
}

func (t *Tranche) open() bool { return t.Kind == "" && len(t.Kinds) > 0 }

// Open reports whether a tranche accepts several kinds and none has been chosen
// yet. Such a contract can be asked for, not signed: Check refuses it.
func (c *Contract) Open() bool {
	return slices.ContainsFunc(c.Tranches, func(t Tranche) bool { return t.open() })
}

// CheckAsked is Check for a contract that may be open: every way in which its
// kinds can be settled must be a contract that Check accepts.
func (c *Contract) CheckAsked() error {
	if !c.Open() {
		return c.Check()
	}
	_, err := c.Settlements()
	return err
}

// Settlements lists the contracts that an open one can become, in the order of
// preference: in the first every tranche has the first kind that it names, and
// of tranches the last one gives way first. How many GPUs a node has stays as
// it is (WithNodes). Tranches that would be steps of one
// ramp are of one kind together. Of a rate for one kind only the tranches remain
// that are of it. What isn't open has itself.
func (c *Contract) Settlements() ([]*Contract, error) {
	f := &findings{}
	if len(c.Tranches) > MaxTranches || len(c.Rates) > MaxRates {
		return nil, c.Check()
	}
	for i := range c.Tranches {
		checkKinds(f, i, &c.Tranches[i])
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	groups := c.openGroups()
	count := 1
	for _, group := range groups {
		if count *= len(c.Tranches[group[0]].Kinds); count > MaxSettlements {
			f.add("tranches", "the kinds that they accept can be combined in more than %d ways: accept fewer, or give tranches of one end the same kinds", MaxSettlements)
			return nil, f.err()
		}
	}
	var out []*Contract
	used, told := make([]bool, len(c.Rates)), map[string]bool{}
	for number := range count {
		settled, rates := c.settle(groups, number)
		for _, at := range rates {
			used[at] = true
		}
		out = append(out, settled)
		if list, wrong := settled.Check().(claim.Problems); wrong {
			for _, e := range list {
				if e = inFile(e, rates); !told[e.Error()] {
					told[e.Error()] = true
					f.list = append(f.list, e)
				}
			}
		}
	}
	for i := range c.Rates {
		if !used[i] {
			f.add(fmt.Sprintf("rates[%d].kind", i), "none of its tranches accepts %.40q", c.Rates[i].Kind)
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return out, nil
}

// SettledBy reports whether a contract is one that c can become.
func (c *Contract) SettledBy(settled *Contract) bool {
	all, err := c.Settlements()
	return err == nil && slices.ContainsFunc(all, func(one *Contract) bool {
		return len(one.Tranches) == len(settled.Tranches) && one.nodesAs(settled).Digest() == settled.Digest()
	})
}

// openGroups lists tranches whose kind is open, those together that would be
// steps of one ramp whichever kind they are: one collective domain is never mixed.
func (c *Contract) openGroups() [][]int {
	var groups [][]int
	type ramp struct {
		fabric     string
		end        int64
		splitRacks bool
		segment    int64
		kinds      int
	}
	at, lists := map[ramp]int{}, claim.Chain{}
	for i := range c.Tranches {
		t := &c.Tranches[i]
		if !t.open() {
			continue
		}
		key := ramp{t.Fabric, t.End.Unix(), t.SplitRacks, t.SegmentGPUs, lists.Of(claim.Strings(t.Kinds)...)}
		g, known := at[key]
		if !known || t.Links == lease.Hermetic {
			g = len(groups)
			groups = append(groups, nil)
			if t.Links != lease.Hermetic { // such a one is a slice by itself
				at[key] = g
			}
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// settle is settlement number n, with the place of each of its rates in c.
func (c *Contract) settle(groups [][]int, n int) (settled *Contract, rates []int) {
	settled = c.Clone()
	was := map[string]bool{}
	for g := len(groups) - 1; g >= 0; g-- {
		kinds := c.Tranches[groups[g][0]].Kinds
		for _, i := range groups[g] {
			settled.Tranches[i].Kind = kinds[n%len(kinds)]
			was[c.Tranches[i].ID] = true
		}
		n /= len(kinds)
	}
	settled.Rates = nil
	for i, r := range c.Clone().Rates {
		if r.Kind != "" {
			open := len(r.Tranches)
			r.Tranches = slices.DeleteFunc(r.Tranches, func(id string) bool { return was[id] && settled.TrancheByID(id).Kind != r.Kind })
			if open > 0 && len(r.Tranches) == 0 {
				continue
			}
		}
		settled.Rates, rates = append(settled.Rates, r), append(rates, i)
	}
	return settled, rates
}

var rateAt = regexp.MustCompile(`rates\[(\d+)\]`)

// inFile says of a finding about a settlement where it is in what was asked.
func inFile(e *claim.Problem, rates []int) *claim.Problem {
	back := func(text string) string {
		return rateAt.ReplaceAllStringFunc(text, func(found string) string {
			at, err := strconv.Atoi(rateAt.FindStringSubmatch(found)[1])
			if err != nil || at >= len(rates) {
				return found
			}
			return fmt.Sprintf("rates[%d]", rates[at])
		})
	}
	return &claim.Problem{File: whole, Field: back(e.Field), Reason: back(e.Reason)}
}

// checkKinds checks what a tranche accepts. Its kind, once chosen, is one of it.
func checkKinds(f *findings, at int, t *Tranche) {
	path := fmt.Sprintf("tranches[%d].", at)
	if len(t.Kinds) == 0 {
		return
	}
	if len(t.Kinds) == 1 || len(t.Kinds) > MaxKinds {
		f.add(path+"kinds", "%d kinds: expected 2 to %d; where one is meant, write kind", len(t.Kinds), MaxKinds)
	}
	for i, kind := range t.Kinds {
		field := fmt.Sprintf("%skinds[%d]", path, i)
		checkWord(f, field, kind)
		if contains(t.Kinds[:i], kind) {
			f.add(field, "%.40q is listed twice", kind)
		}
	}
	if t.Kind != "" && !contains(t.Kinds, t.Kind) {
		f.add(path+"kind", "%.40q is none of the kinds that are accepted: %s", t.Kind, strings.Join(t.Kinds, ", "))
	}
}

// checkRateKind refuses a price of one kind for tranches of another.
func (c *Contract) checkRateKind(f *findings, path string, r *Rate) {
	if r.Kind == "" {
		return
	}
	checkWord(f, path+"kind", r.Kind)
	for _, id := range r.Tranches {
		if t := c.TrancheByID(id); t != nil && t.Kind != r.Kind {
			f.add(path+"kind", "%.40q, but tranche %s is of %.40q", r.Kind, id, t.Kind)
		}
	}
}
