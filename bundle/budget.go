package bundle

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"bulkhead/claim"
)

// A bundle comes from somebody who may want its reader to run out of memory or of
// patience. So what a verification may take follows from the size of the file alone,
// and whatever reads, keeps or repeats anything draws on it before it does:
//
//	memory  64 MB and 8 bytes for each byte of the file, as the process's peak
//	work    64 million steps and 8 for each byte of the file
//
// A step is below 0.1 µs of CPU on a core of today: one slot of one change rated, one
// entry of a table looked at, eight bytes of JSON. Steps are counted and not timed, so
// that the same bundle is refused, or not, everywhere.
//
// Half of the memory is for what is kept; the rest is for one body at a time in each
// worker, and for what Go's collector needs. WatchMemory holds a process to the whole.
const (
	budgetBase    = 64 << 20
	budgetPerByte = 8

	// BudgetSteps are at least as many as BudgetBytes: both begin at 64 << 20.
	stepBytes     = 8    // of JSON in one step
	statementCost = 2500 // steps of a signed statement: two signatures and its decoding
)

// BudgetBytes is the most memory that the verification of a file may take, in bytes.
func BudgetBytes(file int64) int64 { return budgetBase + budgetPerByte*file }

// budget is what is left of it. All of it is drawn on by the goroutine that folds, in
// the order of the log, so that what was too much does not depend on chance.
type budget struct {
	file  int64
	steps atomic.Int64 // left
	bytes atomic.Int64 // left, of what is kept
	body  int64        // bytes that decoding the body of the entry under way takes at most
}

// Where the two begin; less than all, since there is more to a process than its tables.
func newBudget(file int64) *budget {
	b := &budget{file: file}
	b.steps.Store(budgetBase + budgetPerByte*file)
	b.bytes.Store(budgetBase/4 + budgetPerByte/2*file)
	return b
}

// oneBody is how much memory the decoding of one body may take, in bytes.
func (b *budget) oneBody() int64 { return 4<<20 + b.file }

// ErrBudget says that a bundle asks for more than its size may take. It is a
// rejection: an honest bundle is far below.
var ErrBudget = errors.New("cannot be verified within the budget that follows from its size")

// overBudget unwinds a verification; see guarded.
type overBudget struct{ what string }

func (b *budget) refuse(format string, args ...any) {
	panic(overBudget{fmt.Sprintf(format, args...)})
}

// spend takes steps for something.
func (b *budget) spend(steps int, what string) {
	if steps < 0 || b.steps.Add(-int64(steps)) < 0 {
		b.refuse("%s asks for more work than the %d steps of a file of %d bytes", what, budgetBase+budgetPerByte*b.file, b.file)
	}
}

// keep takes memory for something that stays until the end, in bytes; less than none
// gives it back.
func (b *budget) keep(bytes int64, what string) {
	if b.bytes.Add(-bytes) < 0 {
		b.refuse("%s asks for more memory than the %d MB of a file of %d bytes", what, BudgetBytes(b.file)>>20, b.file)
	}
}

// weigh refuses JSON that reads in two ways, or takes too much to read, before it is
// decoded. It returns the bytes that decoding takes at most.
func (b *budget) weigh(shape *claim.Shape, data []byte, what string) (int64, error) {
	weight, err := shape.Weigh(data)
	if err != nil {
		return 0, err
	}
	if weight > b.oneBody() {
		b.refuse("%s of %d bytes takes %d MB to read", what, len(data), weight>>20)
	}
	return weight, nil
}

// Fault is a panic of the verifier: a mistake in it, which refuses the bundle.
type Fault struct {
	Where string
	Value any
	Stack []byte
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s: the verifier itself failed, which proves nothing either way: please report it: %.300v", f.Where, f.Value)
}

// guarded runs a part of a verification and turns what unwinds it into an error.
func guarded(where func() string, do func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case overBudget:
			err = fmt.Errorf("%w: %s: %s", ErrBudget, where(), r.what)
		default:
			err = &Fault{where(), r, debug.Stack()}
		}
	}()
	return do()
}

func (p logEntry) String() string {
	if p.entry == 0 {
		return "bundle"
	}
	return fmt.Sprintf("entry %d (%.60s)", p.entry, claim.Line(p.kind))
}

// What things take that stay until the end, in bytes, with their places in maps.
const (
	perBody      = 500 // a digest that was named, with what its body says
	perJudgement = 160
	perClaim     = 600 // also while the report is written
	perNode      = 400
	perSlot      = 200
	perLease     = 1200
	perEvent     = 160
	perInterval  = 300 // also while the report is written
	perLabel     = 250
	perVolume    = 400
	perInvoice   = 600
	perWord      = 64 // a text of which nothing is known, beside its length
)

// unpacks refuses a bundle whose frames hold more than its size may come to, before any
// of them is read.
func (v *verifier) unpacks() {
	m := v.c.manifest
	for _, s := range []struct {
		name string
		*Section
	}{{"entries", &m.Entries}, {"bodies", &m.Bodies}} {
		v.budget.keep(int64(len(s.Frames))*192, "the list of frames")
		for i := range s.Frames {
			if plain := int64(s.Frames[i].Plain); plain > 4<<20+v.c.size {
				v.budget.refuse("%s frame %d unpacks to %d bytes, of a file of %d", s.name, i+1, plain, v.c.size)
			}
		}
	}
	v.budget.spend(int(min((m.Entries.Plain+m.Bodies.Plain)/stepBytes, 1<<62)), "to unpack the bundle")
}
