package story

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
	"bulkhead/storage"
)

// Summary is what the story came to. Every figure follows from the ledger
// beside it, or was measured while the story was told (Measured).
type Summary struct {
	Site      SiteSummary       `json:"site"`
	Origin    string            `json:"origin"`
	From      time.Time         `json:"from"`
	To        time.Time         `json:"to"`
	Contracts []ContractSummary `json:"contracts"`
	Life      LifeSummary       `json:"life"`
	Invoices  []InvoiceSummary  `json:"invoices"`
	Verified  []VerifySummary   `json:"verified"`
	NotProven []string          `json:"not_proven"`
	Ledger    LedgerSummary     `json:"ledger"`
	Measured  Measured          `json:"measured"`
}

// SiteSummary is the site in numbers.
type SiteSummary struct {
	Name   string `json:"name"`
	Nodes  int    `json:"nodes"`
	GPUs   int    `json:"gpus"`
	SUs    int    `json:"sus"`
	Leaves int    `json:"leaves"`
	NICs   int    `json:"nics"`
}

// ContractSummary is one contract and its leases.
type ContractSummary struct {
	ID     string         `json:"id"`
	Tenant string         `json:"tenant"`
	Title  string         `json:"title"`
	GPUs   int            `json:"gpus"`
	State  string         `json:"state"`
	Leases []LeaseSummary `json:"leases"`
}

// LeaseSummary is one lease: how good its slice is, and how it stands.
type LeaseSummary struct {
	ID        string     `json:"id"`
	GPUs      int        `json:"gpus"`
	Kind      string     `json:"kind"`
	Fabric    string     `json:"fabric"`
	Cost      place.Cost `json:"placement_cost"`
	Bound     place.Cost `json:"placement_bound"`
	Delivered int        `json:"slots_delivered"`
	Slots     int        `json:"slots"`
	Verdict   string     `json:"isolation"`
	State     string     `json:"state"`
}

// LifeSummary counts what happened, by ledger entry.
type LifeSummary struct {
	Failures     map[string]int `json:"failures"`
	Replacements int            `json:"replacements"`
	Withdrawn    int            `json:"replacements_withdrawn"` // its node came back, or the other one was not free any more
	ByAnswer     map[string]int `json:"replacements_by_answer"`
	Turnovers    int            `json:"turnovers"`
	Quarantined  []string       `json:"quarantined"`
	Drifts       int            `json:"drifted_ports"`
	Locked       int            `json:"locked_ports"`
	Restored     int            `json:"restored_ports"`
	Unread       int            `json:"leaves_unread"`
	Volumes      VolumeSummary  `json:"volumes"`
	Brakes       []string       `json:"brakes"`
	Slipped      []string       `json:"slipped"`
	Late         []string       `json:"late"`
}

// VolumeSummary counts what happened to volumes.
type VolumeSummary struct {
	Provisioned int `json:"provisioned"`
	Granted     int `json:"granted"`
	Revoked     int `json:"revoked"`
	EndedMounts int `json:"mounts_fenced"`
	Stray       int `json:"stray"`
	Destroyed   int `json:"destroyed"`
}

// InvoiceSummary is one invoice.
type InvoiceSummary struct {
	Number   string `json:"number"`
	Contract string `json:"contract"`
	From     string `json:"from"`
	Currency string `json:"currency"`
	Total    string `json:"total"`
}

// VerifySummary is what a tenant's verifier said of its bundle.
type VerifySummary struct {
	Tenant  string  `json:"tenant"`
	Bytes   int64   `json:"bundle_bytes"`
	Entries uint64  `json:"entries"`
	Seconds float64 `json:"seconds"`
	Exit    int     `json:"exit"`
}

// LedgerSummary is the ledger in numbers.
type LedgerSummary struct {
	Entries uint64            `json:"entries"`
	Scopes  map[string]uint64 `json:"scopes"`
}

// Measured is what was measured while the story was told.
type Measured struct {
	Seconds  map[string]float64 `json:"seconds"` // by chapter
	PeakRSS  int64              `json:"peak_rss_bytes"`
	Store    int64              `json:"store_bytes"`
	Segments []string           `json:"-"`
}

// Count folds one entry into the summary's counts. It reads the site's scope,
// and the tenants' for what only they hold.
func (l *LifeSummary) Count(e *ledger.Entry) error {
	switch e.Kind {
	case node.KindHealth:
		var b node.HealthNoted
		if err := decode(e, &b); err != nil {
			return err
		}
		if b.Failed {
			bump(&l.Failures, b.Class)
		}
	case node.KindDead:
		bump(&l.Failures, "dead")
	case node.KindMoved:
		if e.Scope != book.SiteScope {
			return nil
		}
		var b node.Moved
		if err := decode(e, &b); err != nil {
			return err
		}
		switch b.To {
		case node.Ready:
			if b.From == node.Attesting || b.From == node.Commissioning {
				l.Turnovers += len(b.Nodes)
			}
		case node.Quarantined:
			for _, n := range b.Nodes {
				l.Quarantined = append(l.Quarantined, fmt.Sprintf("%s %s: %s", e.Time.Format(time.DateOnly), n.Node, b.Reason))
			}
		}
	case lease.KindSwapped:
		l.Replacements++
	case lease.KindWithdrawn:
		l.Withdrawn++
	case lease.KindAcknowledged:
		var b lease.Acknowledged
		if err := decode(e, &b); err != nil {
			return err
		}
		bump(&l.ByAnswer, b.By)
	case fabric.KindDrifted, fabric.KindLocked, fabric.KindRestored:
		if e.Scope != book.SiteScope {
			return nil
		}
		var b fabric.Drifted
		if e.Kind != fabric.KindDrifted {
			var other fabric.Locked
			if err := decode(e, &other); err != nil {
				return err
			}
			b.Ports = other.Ports
		} else if err := decode(e, &b); err != nil {
			return err
		}
		switch e.Kind {
		case fabric.KindDrifted:
			l.Drifts += len(b.Ports)
		case fabric.KindLocked:
			l.Locked += len(b.Ports)
		case fabric.KindRestored:
			l.Restored += len(b.Ports)
		}
	case storage.KindProvisioned:
		l.Volumes.Provisioned++
	case storage.KindGranted:
		l.Volumes.Granted++
	case storage.KindStray:
		l.Volumes.Stray++
	case storage.KindDestroyed:
		l.Volumes.Destroyed++
	case storage.KindRevoked:
		var b storage.Revoked
		if err := decode(e, &b); err != nil {
			return err
		}
		l.Volumes.Revoked++
		l.Volumes.EndedMounts += b.Receipt.EndedMounts
	case fabric.KindUnread:
		if e.Scope == book.SiteScope {
			l.Unread++
		}
	case book.KindBrake:
		var b book.Braked
		if err := decode(e, &b); err != nil {
			return err
		}
		l.Brakes = append(l.Brakes, fmt.Sprintf("%s engaged: %s", e.Time.Format(time.DateTime), b.Detail))
	case book.KindReleased:
		var b book.Braked
		if err := decode(e, &b); err != nil {
			return err
		}
		l.Brakes = append(l.Brakes, fmt.Sprintf("%s released by %s: %s", e.Time.Format(time.DateTime), b.By, b.Detail))
	case site.KindRescheduled:
		var b site.Rescheduled
		if err := decode(e, &b); err != nil {
			return err
		}
		l.Slipped = append(l.Slipped, fmt.Sprintf("%s from %s to %s: %s", b.Hall, b.Was.Format(time.DateOnly), b.InService.Format(time.DateOnly), b.Reason))
	case lease.KindLate:
		var b lease.Late
		if err := decode(e, &b); err != nil {
			return err
		}
		set, err := site.ParseSet(b.Slots, site.MaxNodes)
		if err != nil {
			return err
		}
		l.Late = append(l.Late, fmt.Sprintf("%s %s: %d slots, expected %s (%s)", e.Time.Format(time.DateOnly), b.Lease, set.Len(), b.Expected.Format(time.DateOnly), b.Clause))
	}
	return nil
}

func bump(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

// Summarise reads the state at the end of the story.
func Summarise(s *book.State, certificates func(l *book.Lease) (place.Certificate, error)) (Summary, error) {
	sum := Summary{
		Site:   SiteSummary{Name: s.Site.Name, Nodes: s.Site.Nodes(), GPUs: s.Site.GPUs(), SUs: len(s.Site.SUs), Leaves: s.Site.Switches(), NICs: s.Site.EdgePorts()},
		Origin: string(s.Site.Origin), From: Begin, To: s.Time,
		Ledger: LedgerSummary{Entries: s.Seq, Scopes: s.Scopes},
	}
	for _, id := range s.ContractIDs() {
		k := s.Contracts[id]
		c := ContractSummary{ID: id, Tenant: k.Current().Tenant, Title: k.Current().Title, State: contractState(k)}
		for _, l := range s.Leases {
			if l.Contract != id {
				continue
			}
			cert, err := certificates(l)
			if err != nil {
				return sum, fmt.Errorf("placement certificate of %s: %w", l.ID, err)
			}
			c.GPUs += len(l.Slots) * s.Site.NodeGPUs(l.Kind)
			c.Leases = append(c.Leases, LeaseSummary{
				ID: string(l.ID), GPUs: len(l.Slots) * s.Site.NodeGPUs(l.Kind), Kind: l.Kind, Fabric: l.Fabric, Cost: cert.Cost, Bound: cert.Bound,
				Delivered: l.Delivered, Slots: len(l.Slots), Verdict: l.Verdict, State: leaseState(l),
			})
		}
		sum.Contracts = append(sum.Contracts, c)
	}
	for _, i := range s.Invoices {
		sum.Invoices = append(sum.Invoices, InvoiceSummary{Number: i.Number, Contract: i.Contract, From: i.From, Currency: i.Currency, Total: i.Total})
	}
	return sum, nil
}

func contractState(k *book.Contract) string {
	switch {
	case !k.Closed.IsZero():
		return "closed"
	case !k.Noticed.IsZero():
		return "notice given"
	}
	return "in force"
}

func leaseState(l *book.Lease) string {
	switch {
	case !l.Returned.IsZero():
		return "returned " + l.Returned.Format(time.DateOnly)
	case !l.Returning.IsZero():
		return "being returned"
	case l.Delivered == len(l.Slots):
		return "delivered"
	}
	return fmt.Sprintf("%d of %d slots delivered", l.Delivered, len(l.Slots))
}

// Print writes the screen on which the story ends.
func (s *Summary) Print(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("\nNOT PROVEN")
	for _, line := range s.NotProven {
		p("  - %s", line)
	}
	p("\nSOLD AND DELIVERED on %s: %s GPUs in %s nodes, %d SUs (%s)", s.Site.Name, thousands(s.Site.GPUs), thousands(s.Site.Nodes), s.Site.SUs, s.Origin)
	for _, c := range s.Contracts {
		p("  %s: %s, %s GPUs", c.Title, c.State, thousands(c.GPUs))
		for _, l := range c.Leases {
			p("    %-16s %7s %-5s %-5s %-26s isolation %-8s  halls/pods/SUs/racks %d/%d/%d/%d, lower bounds %d/%d/%d/%d", l.ID, thousands(l.GPUs), l.Kind, l.Fabric,
				l.State, l.Verdict, l.Cost.Halls, l.Cost.Pods, l.Cost.SUs, l.Cost.Racks, l.Bound.Halls, l.Bound.Pods, l.Bound.SUs, l.Bound.Racks)
		}
	}
	p("\nWHAT FAILED, AND HOW IT WAS CAUGHT")
	p("  failures: %s", counts(s.Life.Failures))
	p("  replacements: %s (%s), and %s withdrawn", thousands(s.Life.Replacements), counts(s.Life.ByAnswer), thousands(s.Life.Withdrawn))
	p("  turnovers with a signed statement: %s; quarantined on the way: %s", thousands(s.Life.Turnovers), thousands(len(s.Life.Quarantined)))
	for _, why := range s.Life.whyQuarantined() {
		p("    %s", why)
	}
	p("  ports red on read-back: %s; locked down: %d; restored and proven again: %s; leaves unread: %d", thousands(s.Life.Drifts), s.Life.Locked, thousands(s.Life.Restored), s.Life.Unread)
	v := s.Life.Volumes
	p("  volumes: %d provisioned, access given %d times and ended %d times (%d open mounts fenced), %d stray access found, %d destroyed", v.Provisioned, v.Granted, v.Revoked, v.EndedMounts, v.Stray, v.Destroyed)
	for _, list := range [][]string{s.Life.Brakes, s.Life.Slipped, s.Life.Late} {
		for _, line := range list {
			p("  %s", line)
		}
	}
	p("\nWHAT IT COST")
	for _, i := range s.Invoices {
		p("  %-16s %s %s %22s", i.Number, i.From[:7], i.Currency, money(i.Total))
	}
	p("\nWHAT THE TENANTS VERIFIED, offline, with bulkhead-verify")
	for _, v := range s.Verified {
		verdict := "accepted"
		if v.Exit != 0 {
			verdict = fmt.Sprintf("REJECTED (exit %d)", v.Exit)
		}
		p("  %-10s %s: %s entries, %s bytes, %.1f s", v.Tenant, verdict, thousands(int(v.Entries)), thousands(int(v.Bytes)), v.Seconds)
	}
	p("")
}

func counts(m map[string]int) string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	parts := make([]string, 0, len(keys))
	for _, key := range keys {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(m[key]), key))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func decode(e *ledger.Entry, into any) error {
	if err := claim.Exact(e.Body, len(e.Body), into); err != nil {
		return fmt.Errorf("entry %d (%s): %w", e.Seq, e.Kind, err)
	}
	return nil
}

// whyQuarantined groups quarantines by their reason, without what differs from
// node to node; the most frequent come first.
func (l *LifeSummary) whyQuarantined() []string {
	count := map[string]int{}
	first := map[string]string{}
	for _, q := range l.Quarantined {
		_, reason, _ := strings.Cut(q, ": ")
		key, _, _ := strings.Cut(reason, ";")
		parts := strings.SplitN(key, ": ", 4)
		key = strings.Join(parts[:min(len(parts), 3)], ": ")
		count[key]++
		if first[key] == "" {
			first[key] = q
		}
	}
	keys := make([]string, 0, len(count))
	for key := range count {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	var out []string
	for _, key := range keys {
		out = append(out, fmt.Sprintf("%s: %s (first: %s)", thousands(count[key]), key, first[key]))
	}
	return out
}
