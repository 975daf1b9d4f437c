// Package nodetest is what every node.Driver must pass.
//
// A driver's own test makes a [Fixture] and calls [Run]. The suite judges a
// driver by what its nodes report, with the very check that the control plane
// and a tenant's verifier run.
package nodetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/lab/drivertest"
	"bulkhead/lineage"
	"bulkhead/node"
	"bulkhead/node/attest"
	"bulkhead/site"
)

// Fixture is a driver of a site's nodes, none of which was given a step yet, and
// hooks to let time pass and to break nodes. All are required. The site needs at
// least four nodes, and no failures by chance.
type Fixture struct {
	Driver node.Driver
	Site   *site.Site
	// Pass lets that much of the devices' time pass.
	Pass func(time.Duration)
	// Kill makes a node stop answering.
	Kill func(site.Index)
	// Lie makes a node report wipes that did not happen.
	Lie func(site.Index)
}

// Run puts a driver to every demand, each on a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) *Fixture) {
	drivertest.Run(t, demands, func(t *testing.T) *Fixture {
		f := open(t)
		if f.Pass == nil || f.Kill == nil || f.Lie == nil {
			t.Fatal("the fixture lacks a hook: Pass, Kill and Lie are required")
		}
		return f
	})
}

// demands are in the order in which they build on one another.
var demands = []drivertest.Requirement[*Fixture]{
	{Name: "capabilities", Holds: capabilities},
	{Name: "nothing is said before a step", Holds: silent},
	{Name: "a commissioned node has evidence that passes", Holds: commissions},
	{Name: "a node is wiped, then attested", Holds: turnsOver},
	{Name: "a fence step says what is still open", Holds: seversNode},
	{Name: "an outcome is for its time", Holds: takesTime},
	{Name: "a step given twice is one step", Holds: idempotent},
	{Name: "a new step supersedes an unended one", Holds: supersedes},
	{Name: "an older fence is refused", Holds: fences},
	{Name: "one lineage, one writer", Holds: lineages},
	{Name: "cursors go on where they were", Holds: cursors},
	{Name: "a cursor from elsewhere is answered in full", Holds: strangeCursor},
	{Name: "since 0 lists the newest outcome", Holds: newest},
	{Name: "what can't be done is named", Holds: refused},
	{Name: "a dead node reports no success", Holds: dead},
	{Name: "a liar is caught by read-back", Holds: liar},
	{Name: "a repair brings a dead node back", Holds: repaired},
	{Name: "an ended context is obeyed", Holds: ended},
}

var firstFence = node.Fence{Term: 3, Generation: 10}

// long is time enough for any step but a repair.
const long = 12 * time.Hour

func (f *Fixture) step(n site.Index, kind string, turnover uint32, attempt int) node.Step {
	return node.Step{ID: fmt.Sprintf("%s/%d/%s/%d", f.Site.NodeID[n], turnover, kind, attempt), Node: n, Kind: kind, Turnover: turnover,
		Attempt: attempt, Nonce: node.Nonce(f.root(turnover, kind), f.Site.NodeID[n], turnover)}
}

// root is another one for every question, as in life.
func (f *Fixture) root(turnover uint32, kind string) claim.Digest {
	return claim.DigestOf(fmt.Appendf(nil, "root %d %s", turnover, kind))
}

func (f *Fixture) apply(ctx context.Context, steps ...node.Step) error {
	receipts, err := f.Driver.Apply(ctx, steps, firstFence)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if len(receipts) != len(steps) {
		return fmt.Errorf("%d receipts for %d steps", len(receipts), len(steps))
	}
	for i, r := range receipts {
		if r.Step != steps[i].ID || !r.Taken {
			return fmt.Errorf("receipt for step %q, taken %t: %s; expected step %q taken", r.Step, r.Taken, r.Error, steps[i].ID)
		}
	}
	return nil
}

// observe reads all that was said since a cursor.
func (f *Fixture) observe(ctx context.Context, since uint64) (reports []node.Report, cursor uint64, err error) {
	cursor = since
	for range 1000 {
		o, err := f.Driver.Observe(ctx, cursor)
		if err != nil {
			return nil, 0, fmt.Errorf("observe: %w", err)
		}
		if o.At.IsZero() {
			return nil, 0, errors.New("an observation without a time")
		}
		for i := range o.Reports {
			if r := &o.Reports[i]; r.At.IsZero() || r.At.After(o.At) {
				return nil, 0, fmt.Errorf("a report of %s in an observation of %s", r.At, o.At)
			}
		}
		reports, cursor = append(reports, o.Reports...), o.Cursor
		if !o.More {
			return reports, cursor, nil
		}
	}
	return nil, 0, errors.New("an observation without end")
}

// outcome expects one outcome of a step.
func (f *Fixture) outcome(ctx context.Context, since uint64, step node.Step) (node.Report, error) {
	reports, _, err := f.observe(ctx, since)
	if err != nil {
		return node.Report{}, err
	}
	var found []node.Report
	for _, r := range reports {
		if r.Step == step.ID {
			found = append(found, r)
		}
	}
	if len(found) != 1 || found[0].Node != step.Node {
		return node.Report{}, fmt.Errorf("%d outcomes of step %s, expected one by node %d", len(found), step.ID, step.Node)
	}
	return found[0], nil
}

// evidence gives a step, lets it end and returns what the node reports.
func (f *Fixture) evidence(ctx context.Context, step node.Step) (node.Evidence, error) {
	if err := f.apply(ctx, step); err != nil {
		return node.Evidence{}, err
	}
	f.Pass(long)
	r, err := f.outcome(ctx, 0, step)
	if err != nil {
		return node.Evidence{}, err
	}
	if !r.OK {
		return node.Evidence{}, fmt.Errorf("step %s failed: %s", step.ID, r.Error)
	}
	return node.DecodeEvidence(r.Raw)
}

// judge runs the check of a turnover over evidence.
func (f *Fixture) judge(ctx context.Context, n site.Index, turnover uint32, wiped, root claim.Digest, e node.Evidence) error {
	c, err := f.Driver.Capabilities(ctx)
	if err != nil {
		return err
	}
	kind, ok := f.Site.Kind(f.Site.KindOf(n))
	if !ok {
		return fmt.Errorf("the site has no kind %q", f.Site.KindOf(n))
	}
	want := node.Expected{Node: f.Site.NodeID[n], Serial: f.Site.Serial[n], Turnover: turnover, Root: root, WipeRoot: wiped, Devices: f.Site.Devices[n],
		Key: f.Site.AttestationKey[n], Golden: attest.Golden(kind), Origin: c.Origin}
	return node.CheckTurnover(&node.Turnover{Node: want.Node, Serial: want.Serial, Kind: kind.ID, Turnover: turnover, Origin: want.Origin,
		Root: root, WipeRoot: wiped, Devices: want.Devices, Key: want.Key, Golden: want.Golden, Receipts: e.Receipts, Quote: e.Quote, BurnIn: e.BurnIn}, want)
}

func capabilities(ctx context.Context, f *Fixture) error {
	c, err := f.Driver.Capabilities(ctx)
	if err != nil {
		return err
	}
	if c.Fencing != "device" && c.Fencing != "deadline" || c.Deadline <= 0 || !c.Origin.Valid() {
		return fmt.Errorf("fencing %q, deadline %s, origin %q: expected all three", c.Fencing, c.Deadline, c.Origin)
	}
	return nil
}

func silent(ctx context.Context, f *Fixture) error {
	f.Pass(long)
	reports, _, err := f.observe(ctx, 0)
	if err == nil && len(reports) > 0 {
		err = fmt.Errorf("%d reports, expected none", len(reports))
	}
	return err
}

func commissions(ctx context.Context, f *Fixture) error {
	step := f.step(1, node.StepCommission, 1, 1)
	e, err := f.evidence(ctx, step)
	if err != nil {
		return err
	}
	return f.judge(ctx, 1, 1, f.root(1, node.StepCommission), f.root(1, node.StepCommission), e)
}

func turnsOver(ctx context.Context, f *Fixture) error {
	if _, err := f.evidence(ctx, f.step(2, node.StepCommission, 1, 1)); err != nil {
		return err
	}
	wiped, err := f.evidence(ctx, f.step(2, node.StepSanitize, 2, 1))
	if err != nil {
		return err
	}
	attested, err := f.evidence(ctx, f.step(2, node.StepAttest, 2, 1))
	if err != nil {
		return err
	}
	if len(wiped.Receipts) == 0 || wiped.Quote != nil || attested.Quote == nil || len(attested.Receipts) != 0 {
		return errors.New("expected receipts of the wipe, and the TPM quote of the attestation")
	}
	attested.Receipts = wiped.Receipts
	return f.judge(ctx, 2, 2, f.root(2, node.StepSanitize), f.root(2, node.StepAttest), attested)
}

func seversNode(ctx context.Context, f *Fixture) error {
	e, err := f.evidence(ctx, f.step(0, node.StepSever, 2, 1))
	if err == nil && (e.Sessions != 0 || e.Grants != 0) {
		err = fmt.Errorf("%d sessions and %d grants are open", e.Sessions, e.Grants)
	}
	return err
}

func takesTime(ctx context.Context, f *Fixture) error {
	if err := f.apply(ctx, f.step(0, node.StepSanitize, 1, 1)); err != nil {
		return err
	}
	reports, _, err := f.observe(ctx, 0)
	if err == nil && len(reports) > 0 {
		err = errors.New("a wipe ended in no time")
	}
	return err
}

func idempotent(ctx context.Context, f *Fixture) error {
	step := f.step(0, node.StepSanitize, 1, 1)
	for range 3 {
		if err := f.apply(ctx, step); err != nil {
			return err
		}
		f.Pass(time.Second)
	}
	f.Pass(long)
	first, err := f.outcome(ctx, 0, step)
	if err != nil {
		return err
	}
	if err := f.apply(ctx, step); err != nil {
		return err
	}
	f.Pass(long)
	again, err := f.outcome(ctx, 0, step)
	if err == nil && (!again.At.Equal(first.At) || string(again.Raw) != string(first.Raw)) {
		err = fmt.Errorf("a step that had ended at %s was done again at %s", first.At, again.At)
	}
	return err
}

func supersedes(ctx context.Context, f *Fixture) error {
	first, second := f.step(0, node.StepSanitize, 1, 1), f.step(0, node.StepSanitize, 1, 2)
	if err := f.apply(ctx, first); err != nil {
		return err
	}
	f.Pass(time.Second)
	if err := f.apply(ctx, second); err != nil {
		return err
	}
	f.Pass(long)
	reports, _, err := f.observe(ctx, 0)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if r.Step == first.ID {
			return errors.New("the first attempt ended after the second had begun")
		}
	}
	_, err = f.outcome(ctx, 0, second)
	return err
}

func fences(ctx context.Context, f *Fixture) error {
	if err := f.apply(ctx, f.step(0, node.StepSever, 1, 1)); err != nil {
		return err
	}
	for _, older := range []node.Fence{{Term: 2, Generation: 99}, {Term: 3, Generation: 9}} {
		step := f.step(1, node.StepSanitize, 1, 1)
		if _, err := f.Driver.Apply(ctx, []node.Step{step}, older); !errors.Is(err, lineage.ErrFenced) {
			return fmt.Errorf("apply with term %d generation %d: %v, expected ErrFenced", older.Term, older.Generation, err)
		}
	}
	f.Pass(long)
	reports, _, err := f.observe(ctx, 0)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if r.Node == 1 {
			return errors.New("a step of an older writer was done")
		}
	}
	_, err = f.Driver.Apply(ctx, []node.Step{f.step(1, node.StepSanitize, 1, 2)}, node.Fence{Term: 4})
	return err
}

// lineages: whoever works on a copy of the ledger is refused however new it looks, and
// told by whom, until somebody decides that it goes on; then the other one is. No steps
// are enough to show who writes.
func lineages(ctx context.Context, f *Fixture) error {
	own := node.Fence{Lineage: lineage.Lineage{Epoch: 1, ID: "0a"}, Term: 5, Run: "1e", Generation: 7}
	otherRun := node.Fence{Lineage: own.Lineage, Term: 5, Run: "2e", Generation: 8}
	copied := node.Fence{Lineage: lineage.Lineage{Epoch: 1, ID: "0b"}, Term: 9, Run: "3e", Generation: 900}
	takenBy := node.Fence{Lineage: lineage.Lineage{Epoch: 2, ID: "0b"}, Term: 2, Run: "4e", Generation: 1}
	refuses := func(seen node.Fence, others ...node.Fence) error {
		for _, other := range others {
			for _, steps := range [][]node.Step{nil, {f.step(1, node.StepSanitize, 1, 1)}} {
				_, err := f.Driver.Apply(ctx, steps, other)
				var refused *lineage.RefusedError
				if !errors.Is(err, lineage.ErrFenced) || !errors.As(err, &refused) || refused.Newest.Writer() != seen.Writer() || !refused.ByAnother() {
					return fmt.Errorf("%d steps with %s after %s: %v, expected a *lineage.RefusedError that names the second", len(steps), other, seen, err)
				}
			}
		}
		return nil
	}
	if _, err := f.Driver.Apply(ctx, nil, own); err != nil {
		return fmt.Errorf("no steps with %s: %w", own, err)
	}
	if err := refuses(own, firstFence, otherRun, copied, node.Fence{Term: 9}); err != nil {
		return err
	}
	if _, err := f.Driver.Apply(ctx, nil, takenBy); err != nil {
		return fmt.Errorf("no steps with %s, which took over: %w", takenBy, err)
	}
	if err := refuses(takenBy, own, copied); err != nil {
		return err
	}
	f.Pass(long)
	reports, _, err := f.observe(ctx, 0)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if r.Node == 1 && r.Step != "" {
			return errors.New("a step of a copy's writer was done")
		}
	}
	return nil
}

func cursors(ctx context.Context, f *Fixture) error {
	one, two := f.step(0, node.StepSanitize, 1, 1), f.step(1, node.StepSanitize, 1, 1)
	if err := f.apply(ctx, one); err != nil {
		return err
	}
	f.Pass(long)
	_, cursor, err := f.observe(ctx, 0)
	if err != nil {
		return err
	}
	if quiet, next, err := f.observe(ctx, cursor); err != nil || len(quiet) > 0 || next < cursor {
		return fmt.Errorf("%d reports since the newest, cursor %d after %d, error %w", len(quiet), next, cursor, err)
	}
	if err := f.apply(ctx, two); err != nil {
		return err
	}
	f.Pass(long)
	var before []node.Report
	for round := range 2 { // the old cursor goes on to be answered
		reports, _, err := f.observe(ctx, cursor)
		if err != nil {
			return err
		}
		if len(reports) != 1 || reports[0].Step != two.ID {
			return fmt.Errorf("%d reports since the first outcome, expected the second", len(reports))
		}
		if round > 0 && !reflect.DeepEqual(before, reports) {
			return errors.New("the same cursor is answered otherwise the second time")
		}
		before = reports
	}
	return nil
}

func strangeCursor(ctx context.Context, f *Fixture) error {
	step := f.step(0, node.StepSanitize, 1, 1)
	if err := f.apply(ctx, step); err != nil {
		return err
	}
	f.Pass(long)
	_, err := f.outcome(ctx, 1<<60, step)
	return err
}

func newest(ctx context.Context, f *Fixture) error {
	for attempt := range 3 {
		if _, err := f.evidence(ctx, f.step(0, node.StepSanitize, 1, attempt+1)); err != nil {
			return err
		}
	}
	reports, _, err := f.observe(ctx, 0)
	if err == nil && (len(reports) != 1 || reports[0].Step != f.step(0, node.StepSanitize, 1, 3).ID) {
		err = fmt.Errorf("%d reports since 0, expected the newest outcome alone", len(reports))
	}
	return err
}

func refused(ctx context.Context, f *Fixture) error {
	good := f.step(0, node.StepSanitize, 1, 1)
	nowhere, strange, unnamed := f.step(1, node.StepSanitize, 1, 1), f.step(2, "polish", 1, 1), f.step(3, node.StepSanitize, 1, 1)
	nowhere.Node, unnamed.ID = site.Index(f.Site.Nodes()), ""
	receipts, err := f.Driver.Apply(ctx, []node.Step{nowhere, good, strange, unnamed}, firstFence)
	if err != nil || len(receipts) != 4 {
		return fmt.Errorf("%d receipts, error %v: a step that can't be done is named in its receipt", len(receipts), err)
	}
	for i, taken := range []bool{false, true, false, false} {
		if receipts[i].Taken != taken || !taken && receipts[i].Error == "" {
			return fmt.Errorf("receipt %d: taken %t, error %q; expected taken %t, and why not", i, receipts[i].Taken, receipts[i].Error, taken)
		}
	}
	f.Pass(long)
	_, err = f.outcome(ctx, 0, good)
	return err
}

func dead(ctx context.Context, f *Fixture) error {
	step := f.step(0, node.StepSanitize, 1, 1)
	if err := f.apply(ctx, step); err != nil {
		return err
	}
	f.Kill(0)
	if _, err := f.Driver.Apply(ctx, []node.Step{f.step(0, node.StepSanitize, 1, 2)}, firstFence); err != nil {
		return fmt.Errorf("one dead node fails the call: %w", err)
	}
	f.Pass(long)
	reports, _, err := f.observe(ctx, 0)
	if err != nil {
		return err
	}
	said := false
	for _, r := range reports {
		if r.Step != "" && r.OK {
			return fmt.Errorf("a node that does not answer ended step %s", r.Step)
		}
		said = said || r.Node == 0 && r.Health != nil && r.Health.Failed && !r.Health.Alive
	}
	if !said {
		return errors.New("nobody says that the node does not answer")
	}
	return nil
}

func liar(ctx context.Context, f *Fixture) error {
	f.Lie(0)
	e, err := f.evidence(ctx, f.step(0, node.StepCommission, 1, 1))
	if err != nil {
		return fmt.Errorf("a liar reports success: %w", err)
	}
	err = f.judge(ctx, 0, 1, f.root(1, node.StepCommission), f.root(1, node.StepCommission), e)
	if name := node.RefusedBy(err); name != "wipe/read-back" {
		return fmt.Errorf("a wipe that did not happen was refused by %q (%v), expected wipe/read-back", name, err)
	}
	return nil
}

func repaired(ctx context.Context, f *Fixture) error {
	f.Kill(0)
	step := f.step(0, node.StepRepair, 1, 1)
	if err := f.apply(ctx, step); err != nil {
		return err
	}
	f.Pass(60 * 24 * time.Hour)
	r, err := f.outcome(ctx, 0, step)
	if err != nil || !r.OK {
		return fmt.Errorf("repair: ok %t %s, error %w", r.OK, r.Error, err)
	}
	reports, _, err := f.observe(ctx, 0)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if r.Health != nil && r.Health.Failed {
			return fmt.Errorf("it still says %s", strings.TrimSpace(r.Health.Class+" "+r.Health.Detail))
		}
	}
	e, err := f.evidence(ctx, f.step(0, node.StepCommission, 2, 1))
	if err != nil {
		return err
	}
	return f.judge(ctx, 0, 2, f.root(2, node.StepCommission), f.root(2, node.StepCommission), e)
}

func ended(ctx context.Context, f *Fixture) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Driver.Apply(over, []node.Step{f.step(0, node.StepSanitize, 1, 1)}, firstFence); err == nil {
		return errors.New("apply in a context that has ended gave no error")
	}
	if _, err := f.Driver.Observe(over, 0); err == nil {
		return errors.New("observe in a context that has ended gave no error")
	}
	return silent(ctx, f)
}
