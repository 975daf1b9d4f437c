package book

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/site"
	"bulkhead/storage"
)

// SnapshotSchema names the encoding of snapshots. A snapshot of another schema
// is discarded and the ledger replayed.
const SnapshotSchema = "book/6"

// frozen is a state as it is kept: everything but what can be derived, and the
// site's inventory, which stays where it is and is named by its digests.
type frozen struct {
	Seq    uint64            `json:"seq"`
	Time   time.Time         `json:"time"`
	Term   uint64            `json:"term"`
	Scopes map[string]uint64 `json:"scopes"`

	Header  *site.Header   `json:"header"`
	SUs     []claim.Digest `json:"sus"`
	Retired *site.Set      `json:"retired"`
	Staged  *Staging       `json:"staged,omitempty"`

	Tenants    map[string]*Tenant                `json:"tenants"`
	Contracts  map[string]frozenContract         `json:"contracts"`
	Quotes     []frozenQuote                     `json:"quotes"` // by tenant and id
	Leases     []frozenLease                     `json:"leases"`
	Projects   map[fabric.Owner]HolderNumber     `json:"projects"`
	Placements map[string]claim.Digest           `json:"placements"`
	Labels     map[string]*fabric.Pool           `json:"labels"`
	Volumes    map[storage.VolumeID]*Volume      `json:"volumes"`
	Postures   map[string]Posture                `json:"postures"`
	Swaps      []frozenSwap                      `json:"swaps"`
	Unserved   []frozenUnserved                  `json:"unserved,omitempty"`
	Stays      []frozenStay                      `json:"stays,omitempty"`
	Defrags    map[lease.ID]*Defrag              `json:"defrags,omitempty"`
	Locked     map[site.Port]Drift               `json:"locked"`
	Unread     map[site.Leaf]time.Time           `json:"unread"`
	Silent     map[site.Leaf]time.Time           `json:"silent,omitempty"`
	Invoices   []Invoice                         `json:"invoices"`
	Disputes   []meter.Dispute                   `json:"disputes,omitempty"`
	Notes      []meter.GivenBack                 `json:"notes,omitempty"`
	Looks      *meter.Looks                      `json:"looks,omitempty"`
	Found      map[string]map[uint32]*FoundLabel `json:"found,omitempty"`
	Control    Control                           `json:"control"`
	Commands   map[string]uint64                 `json:"commands"`
	Tokens     map[string]*TokenMinted           `json:"tokens,omitempty"`
	Approvers  map[string]*ApproverKey           `json:"approvers,omitempty"`
	Nodes      frozenNodes                       `json:"nodes"`
}

type frozenContract struct {
	Versions                []json.RawMessage
	Signed, Noticed, Closed time.Time
	Signatures              []contract.Signature
	Key                     string `json:",omitempty"`
}

type frozenQuote struct {
	ID       string
	Raw      json.RawMessage
	Expires  time.Time
	Parts    []contract.QuotedPart
	Offered  contract.Signature
	Since    time.Time
	Withheld bool

	Assented *contract.Assented `json:",omitempty"`
}

type frozenLease struct {
	lease.Lease
	Order               string // of Slots
	Certificate         claim.Digest
	Up                  *site.Set
	Events              []meter.Event
	Returning, Returned time.Time
	LateNoted           bool
	Verdict             string
	Epoch               uint64
	Certified           claim.Digest
	Dirty               bool
	Probes              int
	ProbeLeaks          time.Time
	Sitting             bool      `json:",omitempty"`
	GivenUp             *site.Set `json:",omitempty"`
	Management          string    `json:",omitempty"`
}

type frozenSwap struct {
	Ref  SlotRef
	Swap Swap
}

type frozenUnserved struct {
	Ref   SlotRef
	Since time.Time
}

type frozenStay struct {
	Ref  SlotRef
	Stay Stay
}

// frozenNodes are the columns that can't be derived.
type frozenNodes struct {
	State                    []node.State
	Since, Begun             []int64
	Seq, Turnover, Slot      []uint32
	Attempt, Exposed, Health []byte
	Unclear, Forged          []byte
	Lease, Owner             []int32
	Class                    map[site.Index]string
	Silence                  map[site.Index]Silence `json:",omitempty"`
	Cordoned, Sick           *site.Set
	Statement, Asked, Wiped  []claim.Digest
	WipeAsked                []claim.Digest
	Booked                   map[site.Index][]Queued
}

// Snapshot encodes the state, with a digest behind it; equal states give equal
// bytes.
// Cost: about 20 MB and a second for 50,000 nodes.
func (s *State) Snapshot() ([]byte, error) {
	data, err := json.Marshal(s.freeze())
	if err != nil {
		return nil, err
	}
	// A flipped bit may well be JSON again, of another state.
	digest := claim.DigestOf(data)
	return append(data, digest[:]...), nil
}

func (s *State) freeze() *frozen {
	c := &s.Nodes
	f := &frozen{
		Seq: s.Seq, Staged: s.Staged, Time: s.Time, Term: s.Term, Scopes: s.Scopes, Tenants: s.Tenants, Projects: s.projects,
		Labels: s.Labels, Volumes: s.Volumes, Postures: s.Postures, Locked: s.Drifted, Unread: s.Unread, Silent: s.Silent, Invoices: s.Invoices, Disputes: s.Disputes, Notes: s.Notes, Looks: s.Looks, Found: s.Found, Control: s.Control, Commands: s.Commands, Tokens: s.Tokens, Approvers: s.Approvers,
		Contracts: map[string]frozenContract{}, Placements: map[string]claim.Digest{},
		Nodes: frozenNodes{
			State: c.State, Since: c.Since, Begun: c.Begun, Seq: c.Seq, Turnover: c.Turnover, Slot: c.Slot,
			Attempt: c.Attempt, Exposed: c.Exposed, Unclear: c.Unclear, Forged: c.Forged, Lease: c.Lease, Owner: c.Owner, Class: map[site.Index]string{}, Silence: c.Silence,
			Cordoned: c.Corded, Sick: c.Sick, Statement: c.Statement, Asked: c.Asked, WipeAsked: c.WipeAsked, Wiped: c.Wiped, Booked: c.Booked,
		},
	}
	for i, h := range c.Health {
		f.Nodes.Health = append(f.Nodes.Health, byte(h))
		if c.Class[i] != "" {
			f.Nodes.Class[site.Index(i)] = c.Class[i]
		}
	}
	if s.Site != nil {
		h := s.Site.Header()
		f.Header, f.Retired = &h, s.Site.Retired()
		for i := range s.Site.SUs {
			f.SUs = append(f.SUs, s.Site.SUs[i].Inventory)
		}
	}
	for id, k := range s.Contracts {
		fk := frozenContract{Signed: k.Signed, Noticed: k.Noticed, Closed: k.Closed, Signatures: k.Signatures, Key: k.Key}
		for _, v := range k.Versions {
			fk.Versions = append(fk.Versions, v.Encode())
		}
		f.Contracts[id] = fk
	}
	for _, key := range s.QuoteKeys() {
		q := s.Quotes[key]
		f.Quotes = append(f.Quotes, frozenQuote{q.ID, q.Raw, q.Expires, q.Parts, q.Offered, q.Since, q.Withheld, q.Assented})
	}
	for tenant, whole := range s.Placements {
		f.Placements[tenant.String()] = whole
	}
	for _, l := range s.Leases {
		fl := frozenLease{
			Lease: l.Lease, Order: site.FormatOrder(l.Slots), Certificate: l.Certificate, Up: site.NewSet(len(l.Up)), Events: l.Events,
			Returning: l.Returning, Returned: l.Returned, LateNoted: l.LateNoted, Verdict: l.Verdict, Epoch: l.Epoch, Certified: l.Certified, Dirty: l.Dirty, Probes: l.Probes, ProbeLeaks: l.ProbeLeaks, Sitting: l.Sitting, GivenUp: l.GivenUp, Management: l.Management,
		}
		fl.Lease.Slots = nil
		for slot, up := range l.Up {
			if up {
				fl.Up.Add(site.Index(slot))
			}
		}
		f.Leases = append(f.Leases, fl)
	}
	for ref, swap := range s.Swaps {
		f.Swaps = append(f.Swaps, frozenSwap{ref, *swap})
	}
	slices.SortFunc(f.Swaps, func(a, b frozenSwap) int { return compareRefs(a.Ref, b.Ref) })
	for ref, since := range s.Unserved {
		f.Unserved = append(f.Unserved, frozenUnserved{ref, since})
	}
	slices.SortFunc(f.Unserved, func(a, b frozenUnserved) int { return compareRefs(a.Ref, b.Ref) })
	for ref, stay := range s.Stays {
		f.Stays = append(f.Stays, frozenStay{ref, stay})
	}
	slices.SortFunc(f.Stays, func(a, b frozenStay) int { return compareRefs(a.Ref, b.Ref) })
	f.Defrags = s.Defrags
	return f
}

// Restore reads a snapshot. The inventories come from bodies, as in a replay. A
// snapshot that is damaged anywhere is an error.
func Restore(data []byte, bodies Bodies) (*State, error) {
	end := max(len(data)-len(claim.Digest{}), 0)
	data, digest := data[:end], data[end:]
	if want := claim.DigestOf(data); !bytes.Equal(digest, want[:]) {
		return nil, fmt.Errorf("snapshot: its bytes are not those that were written: replay the ledger")
	}
	var f frozen
	if err := claim.Exact(data, 1<<30, &f); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	s := New()
	s.Seq, s.Time, s.Term, s.Scopes, s.Staged = f.Seq, f.Time.UTC(), f.Term, f.Scopes, f.Staged
	if err := s.thawSite(&f, bodies); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if err := s.thawContracts(&f); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	for _, fl := range f.Leases {
		l := &Lease{
			Lease: fl.Lease, Certificate: fl.Certificate, Events: fl.Events, Returning: fl.Returning, Returned: fl.Returned,
			LateNoted: fl.LateNoted, Verdict: fl.Verdict, Epoch: fl.Epoch, Certified: fl.Certified, Dirty: fl.Dirty, Probes: fl.Probes, ProbeLeaks: fl.ProbeLeaks, Sitting: fl.Sitting, GivenUp: fl.GivenUp, Management: fl.Management,
		}
		if s.Site == nil || s.Contracts[fl.Contract] == nil || fl.Up == nil {
			return nil, fmt.Errorf("snapshot: lease %.130q: incomplete", string(fl.ID))
		}
		slots, err := site.ParseOrder(fl.Order, s.Site.Nodes())
		if err != nil {
			return nil, fmt.Errorf("snapshot: lease %s: %w", fl.ID, err)
		}
		l.Slots, l.Up = slots, make([]bool, len(slots))
		for slot := range fl.Up.All() {
			if int(slot) >= len(slots) {
				return nil, fmt.Errorf("snapshot: lease %s has no slot %d", fl.ID, slot)
			}
			l.Up[slot] = true
			l.Delivered++
		}
		for _, e := range l.Events {
			slots, err := site.ParseSet(e.Slots, len(l.Slots))
			if err != nil {
				return nil, fmt.Errorf("snapshot: lease %s: entry %d: %w", fl.ID, e.Entry, err)
			}
			l.bill(slots, e.State, e.At)
		}
		s.leaseByID[l.ID] = len(s.Leases)
		s.Leases = append(s.Leases, l)
	}
	for _, fs := range f.Swaps {
		swap := fs.Swap
		s.Swaps[fs.Ref] = &swap
	}
	for _, u := range f.Unserved {
		s.Unserved[u.Ref] = u.Since
	}
	for _, stay := range f.Stays {
		s.Stays[stay.Ref] = stay.Stay
	}
	keep(&s.Defrags, f.Defrags)
	for text, whole := range f.Placements {
		d, err := claim.ParseDigest(text)
		if err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		s.Placements[d] = whole
	}
	keep(&s.projects, f.Projects)
	keep(&s.Tenants, f.Tenants)
	keep(&s.Labels, f.Labels)
	keep(&s.Volumes, f.Volumes)
	keep(&s.Postures, f.Postures)
	keep(&s.Drifted, f.Locked)
	keep(&s.Unread, f.Unread)
	keep(&s.Silent, f.Silent)
	keep(&s.Commands, f.Commands)
	keep(&s.Tokens, f.Tokens)
	keep(&s.Approvers, f.Approvers)
	for id, v := range s.Volumes {
		if v == nil || v.Grants == nil || s.Contracts[v.Contract] == nil {
			return nil, fmt.Errorf("snapshot: volume %.130q: incomplete", string(id))
		}
	}
	s.Invoices, s.Control, s.Looks = f.Invoices, f.Control, f.Looks
	s.Disputes, s.Notes = f.Disputes, f.Notes
	if s.Control.Paused == nil || s.Control.Keys == nil {
		return nil, fmt.Errorf("snapshot: control: missing")
	}
	if err := s.thawNodes(&f.Nodes); err != nil {
		return nil, err
	}
	keep(&s.Found, f.Found)
	if err := s.checkThawed(); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if s.Site != nil {
		s.keepFound()
	}
	return s, nil
}

// checkThawed refuses a state that names what it does not hold: nothing that uses
// a state looks for that again.
func (s *State) checkThawed() error {
	held := func(lease int32, slot uint32) bool {
		return lease >= 0 && int(lease) < len(s.Leases) && int(slot) < len(s.Leases[lease].Slots)
	}
	c := &s.Nodes
	for i := range c.State {
		if c.Health[i] > Failed || c.Owner[i] < NoLease || c.Lease[i] != NoLease && !held(c.Lease[i], c.Slot[i]) {
			return fmt.Errorf("node %d: health, owner or slot out of range", i)
		}
	}
	for n := range c.Silence {
		if int64(n) >= int64(len(c.State)) {
			return fmt.Errorf("node %d is silent: the site has no such", n)
		}
	}
	for ref, stay := range s.Stays {
		if i, ok := s.leaseByID[ref.Lease]; !ok || !held(int32(i), ref.Slot) || int64(stay.Node) >= int64(len(c.State)) {
			return fmt.Errorf("slot %d of %.130q, whose replacement was taken back: out of range", ref.Slot, string(ref.Lease))
		}
	}
	for n, holds := range c.Booked {
		for _, h := range holds {
			if int64(n) >= int64(len(c.State)) || !held(h.Lease, h.Slot) {
				return fmt.Errorf("node %d: booked for slot %d of lease %d", n, h.Slot, h.Lease)
			}
		}
	}
	for ref, swap := range s.Swaps {
		if _, ok := s.leaseByID[ref.Lease]; !ok || !held(int32(s.leaseByID[ref.Lease]), ref.Slot) || int64(max(swap.Was, swap.Node)) >= int64(len(c.State)) {
			return fmt.Errorf("replacement of slot %d of %.130q: out of range", ref.Slot, string(ref.Lease))
		}
	}
	for ref := range s.Unserved {
		if i, ok := s.leaseByID[ref.Lease]; !ok || !held(int32(i), ref.Slot) {
			return fmt.Errorf("slot %d of %.130q: out of range", ref.Slot, string(ref.Lease))
		}
	}
	for id, p := range s.Defrags {
		i, ok := s.leaseByID[id]
		if !ok || p == nil || len(p.Was) != len(p.Slots) || len(p.Nodes) != len(p.Slots) {
			return fmt.Errorf("moves of %.130q: incomplete", string(id))
		}
		for j, slot := range p.Slots {
			if !held(int32(i), slot) || int64(max(p.Was[j], p.Nodes[j])) >= int64(len(c.State)) {
				return fmt.Errorf("move of slot %d of %.130q: out of range", slot, string(id))
			}
		}
	}
	for port := range s.Drifted {
		if int64(port.Node()) >= int64(len(c.State)) {
			return fmt.Errorf("port %d: the site has no such", port)
		}
	}
	for _, leaves := range []map[site.Leaf]time.Time{s.Unread, s.Silent} {
		for leaf := range leaves {
			if s.Site == nil || int64(leaf) >= int64(s.Site.Leaves()) {
				return fmt.Errorf("leaf %d: the site has no such", leaf)
			}
		}
	}
	for fingerprint, k := range s.Approvers {
		if k == nil || k.Key.IsZero() || k.Key.Fingerprint() != fingerprint {
			return fmt.Errorf("approver's key %.80q: incomplete", fingerprint)
		}
	}
	for hash, t := range s.Tokens {
		if t == nil || t.Hash != hash {
			return fmt.Errorf("token %.80q: incomplete", hash)
		}
	}
	for id, t := range s.Tenants {
		if t == nil {
			return fmt.Errorf("tenant %.60q: missing", id)
		}
		for fingerprint, k := range t.Keys {
			if k == nil || k.Key.IsZero() || k.Key.Fingerprint() != fingerprint {
				return fmt.Errorf("key %.80q of tenant %.60q: incomplete", fingerprint, id)
			}
		}
	}
	for id, labels := range s.Found {
		if s.Site == nil {
			return fmt.Errorf("labels were found on no site")
		}
		if _, ok := s.Site.FabricByID(id); !ok {
			return fmt.Errorf("labels were found in fabric %.60q, which the site does not have", id)
		}
		for value, l := range labels {
			if l == nil || l.Nodes.Empty() {
				return fmt.Errorf("label %d of fabric %.60q was found at no node", value, id)
			}
			for n := range l.Nodes.All() {
				if int(n) >= s.Site.Nodes() {
					return fmt.Errorf("label %d of fabric %.60q was found at node %d of %d", value, id, n, s.Site.Nodes())
				}
			}
		}
	}
	if s.Site == nil {
		return nil
	}
	for _, f := range s.Site.Fabrics {
		if s.Labels[f.ID] == nil {
			return fmt.Errorf("fabric %.60q has no labels", f.ID)
		}
	}
	return nil
}

func keep[K comparable, V any](into *map[K]V, from map[K]V) {
	if from != nil {
		*into = from
	}
}

func (s *State) thawSite(f *frozen, bodies Bodies) error {
	if f.Header == nil {
		return nil
	}
	if err := f.Header.Check(); err != nil {
		return err
	}
	s.Site, s.Policy = site.New(*f.Header), f.Header.Policy
	for _, digest := range f.SUs {
		inventory, err := bodies.Inventory(digest)
		if err != nil {
			return err
		}
		if _, err := s.Site.AddSU(inventory, digest); err != nil {
			return err
		}
	}
	if f.Retired != nil {
		return s.Site.Retire(f.Retired)
	}
	return nil
}

func (s *State) thawContracts(f *frozen) error {
	for id, fk := range f.Contracts {
		k := &Contract{Signed: fk.Signed, Noticed: fk.Noticed, Closed: fk.Closed, Signatures: fk.Signatures, Key: fk.Key}
		for _, raw := range fk.Versions {
			c, err := contract.Decode(raw)
			if err != nil {
				return err
			}
			k.Versions = append(k.Versions, c)
		}
		if len(k.Versions) == 0 {
			return fmt.Errorf("contract %s has no version", id)
		}
		s.Contracts[id] = k
	}
	for _, fq := range f.Quotes {
		c, err := contract.Decode(fq.Raw)
		if err != nil {
			return err
		}
		q := &Quote{
			ID: fq.ID, Tenant: c.Tenant, Contract: c, Raw: bytes.Clone(fq.Raw), Expires: fq.Expires, Parts: fq.Parts, Offered: fq.Offered,
			Since: fq.Since, Withheld: fq.Withheld, Assented: fq.Assented,
		}
		s.Quotes[q.Key()] = q
	}
	return nil
}

func (s *State) thawNodes(f *frozenNodes) error {
	count := 0
	if s.Site != nil {
		count = s.Site.Nodes()
	}
	for _, n := range []int{len(f.State), len(f.Since), len(f.Begun), len(f.Seq), len(f.Turnover), len(f.Slot), len(f.Attempt), len(f.Exposed), len(f.Unclear), len(f.Forged),
		len(f.Health), len(f.Lease), len(f.Owner), len(f.Statement), len(f.Asked), len(f.WipeAsked), len(f.Wiped)} {
		if n != count {
			return fmt.Errorf("snapshot: a column has %d nodes, the site %d", n, count)
		}
	}
	if f.Cordoned == nil || f.Sick == nil {
		return fmt.Errorf("snapshot: nodes: sets are missing")
	}
	s.growNodes(count)
	c := &s.Nodes
	for i := range f.State {
		n := site.Index(i)
		if int(f.State[i]) >= node.States || int(f.Lease[i]) >= len(s.Leases) || int(f.Owner[i]) >= len(s.Leases) {
			return fmt.Errorf("snapshot: node %d: state or lease out of range", i)
		}
		if f.State[i] != node.Discovered {
			c.Waiting[s.Site.HallOf(n)]--
		}
		c.By[node.Discovered].Remove(n)
		c.By[f.State[i]].Add(n)
		c.Health[i], c.Class[i] = Health(f.Health[i]), f.Class[n]
		c.Cordoned[i] = f.Cordoned.Has(n)
	}
	c.State, c.Since, c.Begun, c.Seq, c.Turnover, c.Slot = f.State, f.Since, f.Begun, f.Seq, f.Turnover, f.Slot
	c.Attempt, c.Exposed, c.Lease, c.Owner = f.Attempt, f.Exposed, f.Lease, f.Owner
	c.Unclear, c.Forged = f.Unclear, f.Forged
	c.Statement, c.Asked, c.WipeAsked, c.Wiped = f.Statement, f.Asked, f.WipeAsked, f.Wiped
	c.Sick, c.Corded = f.Sick, f.Cordoned
	keep(&c.Booked, f.Booked)
	keep(&c.Silence, f.Silence)
	return nil
}

// Hash is the digest of the state. Two ledgers that tell the same story to the
// same end have the same.
func (s *State) Hash() (claim.Digest, error) {
	data, err := json.Marshal(s.freeze())
	if err != nil {
		return claim.Digest{}, err
	}
	return claim.DigestOf(data), nil
}
