package ledger_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/ledger"
)

func TestCut(t *testing.T) {
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	future := at.AddDate(74, 0, 0)
	entries := []ledger.Entry{
		{Seq: 1, Time: at, Term: 1, Kind: "a/1", Scope: "site", ScopeSeq: 1},
		{Seq: 2, Time: at, Term: 1, Kind: "a/1", Scope: "tenant/x", ScopeSeq: 1},
		{Seq: 3, Time: at.Add(time.Hour), Term: 2, Kind: "a/1", Scope: "site", ScopeSeq: 2},
		{Seq: 4, Time: future, Term: 2, Kind: "a/1", Scope: "tenant/x", ScopeSeq: 2},
		{Seq: 5, Time: future, Term: 3, Kind: "a/1", Scope: "tenant/y", ScopeSeq: 1},
		{Seq: 6, Time: future.Add(time.Hour), Term: 3, Kind: "a/1", Scope: "tenant/x", ScopeSeq: 3},
	}
	cut := func(until time.Time) *ledger.Cut {
		c := ledger.NewCut()
		for i := range entries {
			c.Follow(&entries[i], until)
		}
		return c
	}
	root := func(n int) any {
		tree := ledger.NewTree()
		for i := range entries[:n] {
			tree.Append(ledger.LeafHash(ledger.Encode(&entries[i])))
		}
		return tree.Root()
	}
	c := cut(at.Add(2 * time.Hour))
	said, err := c.SetAside(at.Add(2*time.Hour), "f", "me", "2100")
	if err != nil {
		t.Fatal(err)
	}
	if c.Keep != 3 || c.Size != 6 || c.Kept["site"] != 2 || c.Kept["tenant/x"] != 1 || len(c.Scopes) != 2 {
		t.Errorf("%+v", c)
	}
	if x, y := c.Scopes["tenant/x"], c.Scopes["tenant/y"]; x.Keep != 1 || x.Lost != 2 || !x.First.Equal(future) || !x.Last.Equal(future.Add(time.Hour)) || y.Keep != 0 || y.Lost != 1 {
		t.Errorf("x %+v, y %+v", x, y)
	}
	if said.Size != 6 || said.HeadSize != 3 || said.Term != 3 || !said.First.Equal(future) || !said.Last.Equal(future.Add(time.Hour)) || said.Root != root(6) || said.HeadRoot != root(3) {
		t.Errorf("%+v", said)
	}
	for name, c := range map[string]struct {
		until      time.Time
		by, reason string
		says       string
	}{
		"nothing after": {future.Add(time.Hour), "me", "2100", "nothing to set aside"},
		"nothing left":  {at.Add(-time.Second), "me", "2100", "nothing would be left"},
		"nobody":        {at, " ", "2100", "by: expected"},
		"no reason":     {at, "me", "", "reason: expected"},
	} {
		if _, err := cut(c.until).SetAside(c.until, "f", c.by, c.reason); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected %q", name, err, c.says)
		}
	}
}
