package book_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/site"
)

// prefixes gives states after the first entries of the golden ledger. Each call
// gives a state of its own.
type prefixes struct {
	*golden
	snapshots   map[uint64][]byte
	inventories map[claim.Digest]*site.SUInventory // decoding them would take most of the time
}

func newPrefixes(t testing.TB) *prefixes {
	return &prefixes{newest(t), map[uint64][]byte{}, map[claim.Digest]*site.SUInventory{}}
}

func (p *prefixes) Inventory(d claim.Digest) (*site.SUInventory, error) {
	if inventory, ok := p.inventories[d]; ok {
		return inventory, nil
	}
	inventory, err := p.golden.Inventory(d)
	if err == nil {
		p.inventories[d] = inventory
	}
	return inventory, err
}

func (p *prefixes) after(t testing.TB, seq uint64) *book.State {
	t.Helper()
	if p.snapshots[seq] == nil {
		s := book.New()
		for i := range p.entries[:seq] {
			must(t, book.Apply(s, &p.entries[i], p))
		}
		snapshot, err := s.Snapshot()
		must(t, err)
		p.snapshots[seq] = snapshot
	}
	s, err := book.Restore(p.snapshots[seq], p)
	must(t, err)
	return s
}

// blind has seen nothing wrong, and everything: it lets Next plan all that it can.
type blind struct{ s *book.State }

func (b blind) Pending() *site.Set {
	all := site.NewSet(b.s.Site.Nodes())
	for n := range b.s.Site.Nodes() {
		all.Add(site.Index(n))
	}
	return all
}
func (blind) AsWanted(p site.Port) bool             { return p%2 == 0 }
func (blind) Stranger(site.Port) (there, shut bool) { return false, false }
func (blind) Readable(site.Leaf) bool               { return true }
func (blind) Red(site.Port) (string, bool)          { return "", false }
func (blind) Fresh() bool                           { return true }

// take folds an entry that nobody decided, and uses the state that comes of it.
// Either Apply refuses it, and the state is dead; or CheckInvariants does, which
// is what the simulator runs behind every entry; or the state can be used as any
// other. Nothing panics.
func take(s *book.State, e *ledger.Entry, bodies book.Bodies) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if book.Apply(s, e, bodies) != nil {
		return nil
	}
	if book.CheckInvariants(s) != nil {
		return nil
	}
	want, err := s.Hash()
	if err != nil {
		return fmt.Errorf("a state that was taken has no hash: %w", err)
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		return err
	}
	for _, c := range book.Due(s, e.Time.Add(time.Hour)) {
		_, _ = book.Decide(s, c, book.Env{Now: e.Time.Add(time.Hour)})
	}
	if s.Site != nil {
		_ = book.Next(s, blind{s}, e.Time.Add(time.Hour))
	}
	if got, err := s.Hash(); err != nil || got != want {
		return fmt.Errorf("what only looks has changed the state")
	}
	again, err := book.Restore(snapshot, bodies)
	if err != nil {
		return fmt.Errorf("a state that was taken does not come back from its snapshot: %w", err)
	}
	if got, err := again.Hash(); err != nil || got != want {
		return fmt.Errorf("a state that was taken comes back from its snapshot as another")
	}
	return nil
}

// mutations lists bodies that differ from a real one in one value: it is missing,
// of another type, out of range, or of something else.
func mutations(t *testing.T, body []byte) [][]byte {
	t.Helper()
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	must(t, decoder.Decode(&tree))
	var out [][]byte
	emit := func() {
		encoded, err := json.Marshal(tree)
		must(t, err)
		if !bytes.Equal(encoded, body) {
			out = append(out, encoded)
		}
	}
	values := []any{nil, json.Number("0"), json.Number("1"), json.Number("65"), json.Number("4294967295"), json.Number("-1"), "", "x", "0-3,9", "flagship", "assigned", "delivered", "9999-12-31T23:59:59Z", []any{}, map[string]any{}}
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		for _, other := range values {
			set(other)
			emit()
		}
		set(v)
		switch v := v.(type) {
		case map[string]any:
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				was := v[k]
				delete(v, k)
				emit()
				v[k] = was
				walk(was, func(other any) { v[k] = other })
			}
		case []any:
			for i := range v[:min(len(v), 1)] { // one of them is like the others
				walk(v[i], func(other any) { v[i] = other })
			}
		}
	}
	walk(tree, func(other any) { tree = other })
	return out
}

// TestHostileEntries gives the fold entries of every kind that no decision of this
// release could have made: on the prefix that the real one had, on the empty
// state, on the state before anything was sold, and on the last one.
func TestHostileEntries(t *testing.T) {
	p := newPrefixes(t)
	most := 60 // bodies that are tried of one entry: a contract has thousands
	if testing.Short() {
		most = 8
	}
	told := map[string]int{} // by kind and family of scope
	tried, reported := 0, map[string]bool{}
	hostile := func(seq uint64, e ledger.Entry) {
		s := p.after(t, seq)
		e.Seq, e.ScopeSeq = s.Seq+1, s.Scopes[e.Scope]+1
		tried++
		if err := take(s, &e, p); err != nil {
			where := err.Error()
			if at := strings.Index(where, "book.(*State)"); at >= 0 {
				where = where[at:min(len(where), at+60)]
			}
			if !reported[e.Kind+where] {
				reported[e.Kind+where] = true
				t.Errorf("entry %d of kind %s in scope %s with body %.300s:\n%v", e.Seq, e.Kind, e.Scope, e.Body, err)
			}
		}
	}
	last := uint64(len(p.entries))
	for i := range p.entries {
		e := p.entries[i]
		if told[e.Kind+e.Scope[:4]] > 0 {
			continue
		}
		told[e.Kind+e.Scope[:4]]++
		for _, elsewhere := range []uint64{0, 7, last} {
			hostile(elsewhere, e)
		}
		other := e
		other.Scope = map[bool]string{true: book.TenantScope("tidewater"), false: book.SiteScope}[e.Scope == book.SiteScope]
		hostile(e.Seq-1, other)
		bodies := mutations(t, e.Body)
		if len(bodies) > most {
			step := len(bodies)/most + 1
			thinned := bodies[:0]
			for j := 0; j < len(bodies); j += step {
				thinned = append(thinned, bodies[j])
			}
			bodies = thinned
		}
		for _, body := range bodies {
			other := e
			other.Body = body
			hostile(e.Seq-1, other)
		}
	}
	t.Logf("%d hostile entries", tried)
}

// FuzzApply folds an entry of any kind and body behind a real prefix.
func FuzzApply(f *testing.F) {
	p := newPrefixes(f)
	seeded := map[string]bool{}
	for _, e := range p.entries {
		if site := e.Scope == book.SiteScope; !seeded[e.Kind+fmt.Sprint(site)] {
			seeded[e.Kind+fmt.Sprint(site)] = true
			f.Add(uint16(e.Seq-1), e.Kind, site, []byte(e.Body))
		}
	}
	f.Fuzz(func(t *testing.T, after uint16, kind string, siteScope bool, body []byte) {
		s := p.after(t, uint64(after)%uint64(len(p.entries)+1))
		e := ledger.Entry{Seq: s.Seq + 1, Time: s.Time.Add(time.Minute), Term: s.Term, Kind: kind, Scope: book.TenantScope("flagship"), Body: body}
		if siteScope {
			e.Scope = book.SiteScope
		}
		e.ScopeSeq = s.Scopes[e.Scope] + 1
		if err := take(s, &e, p); err != nil {
			t.Fatal(err)
		}
	})
}
