package meter

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"
)

// maxSlots bounds slot numbers: no contract promises more.
const maxSlots = contract.MaxGPUs / contract.NodeGPUs

// maxTime is the end of the year 9999, in Unix seconds.
const maxTime = 253402300799

// Changes are events in columns: range strings parsed once, names as numbers.
// 40 bytes an event of one range, where an Event takes over 112 and its
// strings. Use it where a month has millions of events; the zero value is empty.
//
// Adding is cheapest in the order of the ledger; any other order is sorted
// once, when it is first rated.
type Changes struct {
	rows     []change
	leases   []leaseName
	leaseOf  map[leaseName]LeaseRef
	causes   []causeName
	causeOf  map[causeName]CauseRef
	newest   uint64 // highest entry
	unsorted bool
}

// LeaseRef and CauseRef are names that Changes has numbered.
type (
	LeaseRef uint32
	CauseRef uint32
)

type leaseName struct{ lease, tranche string }

// causeName is why a slot is what it is, and of how many ports of its node.
type causeName struct {
	text  string
	ports lease.Ports
}

// change is one range of slots of one event.
type change struct {
	entry       uint64
	at          int64 // Unix seconds
	first, last uint32
	lease       LeaseRef
	cause       CauseRef
	state       code
}

// Len is the number of ranges.
func (c *Changes) Len() int { return len(c.rows) }

// Grow makes room for n more ranges.
func (c *Changes) Grow(n int) { c.rows = slices.Grow(c.rows, n) }

// Lease numbers a lease and its tranche.
func (c *Changes) Lease(lease, tranche string) LeaseRef {
	name := leaseName{lease, tranche}
	ref, ok := c.leaseOf[name]
	if !ok {
		if c.leaseOf == nil {
			c.leaseOf = map[leaseName]LeaseRef{}
		}
		ref = LeaseRef(len(c.leases))
		c.leaseOf[name] = ref
		c.leases = append(c.leases, name)
	}
	return ref
}

// CauseAt numbers a cause that is about some ports of each node.
func (c *Changes) CauseAt(cause string, ports lease.Ports) CauseRef {
	name := causeName{cause, ports}
	ref, ok := c.causeOf[name]
	if !ok {
		if c.causeOf == nil {
			c.causeOf = map[causeName]CauseRef{}
		}
		ref = CauseRef(len(c.causes))
		c.causeOf[name] = ref
		c.causes = append(c.causes, name)
	}
	return ref
}

func (c *Changes) push(row change) {
	c.newest = max(c.newest, row.entry)
	if n := len(c.rows); n > 0 && !c.unsorted {
		c.unsorted = c.compare(&c.rows[n-1], &row) > 0
	}
	c.rows = append(c.rows, row)
}

// Add adds an event. Errors name the entry and the field.
func (c *Changes) Add(e Event) error {
	state, ok := e.State.code()
	if !ok {
		return fmt.Errorf("entry %d: slot state %.40q: expected one of %v", e.Entry, string(e.State), States())
	}
	if at := e.At.Unix(); at < 0 || at > maxTime {
		return fmt.Errorf("entry %d: at: %s is not a time that a slot can change", e.Entry, e.At.Format(time.RFC3339))
	}
	row := change{entry: e.Entry, at: e.At.Unix(), lease: c.Lease(e.Lease, e.Tranche), cause: c.CauseAt(e.Cause, e.Ports), state: state}
	return eachRange(e.Slots, func(first, last uint32) error {
		row.first, row.last = first, last
		c.push(row)
		return nil
	}, e.Entry)
}

// eachRange reads a range set: numbers and ranges, ascending, separated by
// commas, without spaces.
func eachRange(set string, visit func(first, last uint32) error, entry uint64) error {
	next := int64(0) // the lowest slot that may follow
	for rest, more := set, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 32)
		last, err2 := strconv.ParseUint(high, 10, 32)
		if err1 != nil || err2 != nil || first > last || int64(first) < next || last >= maxSlots {
			return fmt.Errorf("entry %d: slots: %.40q in %.60q: expected ascending numbers and ranges below %d, such as 0-63,72", entry, part, set, maxSlots)
		}
		next = int64(last) + 1
		if err := visit(uint32(first), uint32(last)); err != nil {
			return err
		}
	}
	return nil
}

// compare orders changes by time, then entry, then by everything else that
// matters, in names rather than numbers: the order in which changes were added
// has no say.
func (c *Changes) compare(a, b *change) int {
	if a.at != b.at {
		return cmp.Compare(a.at, b.at)
	}
	if a.entry != b.entry {
		return cmp.Compare(a.entry, b.entry)
	}
	return cmp.Or(
		cmp.Compare(c.leases[a.lease].lease, c.leases[b.lease].lease),
		cmp.Compare(c.leases[a.lease].tranche, c.leases[b.lease].tranche),
		cmp.Compare(a.state, b.state),
		c.causes[a.cause].compare(&c.causes[b.cause]),
		cmp.Compare(a.first, b.first),
		cmp.Compare(a.last, b.last))
}

// sorted is the rows in order. The caller's Changes stay as they are.
//
// Rows that were added out of order are first dealt into as many time slots as
// there are rows, then each time slot is sorted: linear when changes are spread
// over time, n log n at worst.
func (c *Changes) sorted() []change {
	if !c.unsorted {
		return c.rows
	}
	n := len(c.rows)
	low, high := c.rows[0].at, c.rows[0].at
	for i := range c.rows {
		low, high = min(low, c.rows[i].at), max(high, c.rows[i].at)
	}
	// Floating point only picks the time slot: it never decreases with at, and
	// that is all that the order needs.
	scale := float64(n-1) / float64(max(high-low, 1))
	deal := func(at int64) int { return min(int(float64(at-low)*scale), n-1) }
	ends := make([]int32, n+1)
	for i := range c.rows {
		ends[deal(c.rows[i].at)+1]++
	}
	for i := range n {
		ends[i+1] += ends[i]
	}
	rows, next := make([]change, n), slices.Clone(ends)
	for i := range c.rows {
		at := deal(c.rows[i].at)
		rows[next[at]] = c.rows[i]
		next[at]++
	}
	for i := range n {
		if part := rows[ends[i]:ends[i+1]]; len(part) > 1 {
			slices.SortFunc(part, func(a, b change) int { return c.compare(&a, &b) })
		}
	}
	return rows
}

func (a *causeName) compare(b *causeName) int {
	return cmp.Or(cmp.Compare(a.text, b.text), cmp.Compare(a.ports.Owner, b.ports.Owner),
		cmp.Compare(a.ports.Either, b.ports.Either), cmp.Compare(a.ports.Tenant, b.ports.Tenant))
}

// ChangesOf puts events into columns.
func ChangesOf(events []Event) (*Changes, error) {
	c := &Changes{}
	c.Grow(len(events))
	for i := range events {
		if err := c.Add(events[i]); err != nil {
			return nil, err
		}
	}
	return c, nil
}
