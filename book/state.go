package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
	"bulkhead/storage"
)

// SiteScope is the scope of everything that no tenant may see.
const SiteScope = "site"

// TenantScope returns the scope of one tenant's log.
func TenantScope(tenant string) string { return "tenant/" + tenant }

// State is the fold of the ledger. Readers must not change it. At 50,000 nodes
// it takes well under 1 GiB: columns for nodes, maps for what there are few of.
type State struct {
	Seq    uint64            // entries applied
	Time   time.Time         // of the last entry
	Term   uint64            // of the last writer
	Scopes map[string]uint64 // entries in each scope

	Site   *site.Site
	Policy site.Policy
	Staged *Staging // what was recorded of an import that is not whole yet; nil: none is under way

	Tenants   map[string]*Tenant
	Contracts map[string]*Contract
	Quotes    map[QuoteKey]*Quote // open ones
	Leases    []*Lease            // in the order in which they were bound
	leaseByID map[lease.ID]int

	Nodes  Nodes
	Labels map[string]*fabric.Pool // by fabric id

	Volumes  map[storage.VolumeID]*Volume // also those that are destroyed: ids are not used again
	Postures map[string]Posture           // by fabric id; only of fabrics that have one

	// Placements maps the tenant's copy of a placement certificate to the whole.
	Placements map[claim.Digest]claim.Digest

	projects map[fabric.Owner]HolderNumber // numbered as they were bound

	Swaps    map[SlotRef]*Swap     // replacements under way
	Stays    map[SlotRef]Stay      // slots whose replacement was taken back by hand
	Unserved map[SlotRef]time.Time // slots without a node for which none was found, since when
	Defrags  map[lease.ID]*Defrag  // open proposals to move healthy nodes
	Drifted  map[site.Port]Drift
	Unread   map[site.Leaf]time.Time
	Silent   map[site.Leaf]time.Time // leaves that did not answer, since when they last did
	Invoices []Invoice
	Disputes []meter.Dispute   // of lines of invoices, as they were begun
	Notes    []meter.GivenBack // credit notes, as they were given

	Looks *meter.Looks // when devices were looked at, by the site's log; nil: it does not say

	// Found is what an adopted site carried that this ledger gave to nobody, by
	// fabric and label; Kept, derived, is the nodes that are left as they are for it.
	Found map[string]map[uint32]*FoundLabel
	Kept  *site.Set

	Tokens map[string]*TokenMinted // by the token's hash

	Approvers map[string]*ApproverKey // by fingerprint; none: a token is a second person

	Control  Control
	Commands map[string]uint64 // client-given command id -> first entry

	// rebooked is when leases were last placed again: between the entries of one
	// decision, of several tenants, their slots may overlap. It is derived.
	rebooked time.Time

	// swapped is the last swap, for CheckInvariants. It is derived.
	swapped lastSwap

	// Touched collects nodes whose desired state may have changed since the
	// loop last drained it. It is derived and never part of the state hash.
	Touched *site.Set
}

// Tenant is one party that leases. The owner's own teams are tenants like any
// other.
type Tenant struct {
	ID       string
	Name     string
	Internal bool // one of the owner's own teams
	Since    time.Time
	Looks    *meter.Looks `json:",omitempty"` // when what it leases was looked at, by its own log; nil: it does not say

	Keys contract.TenantKeys `json:",omitempty"` // by fingerprint; none: it acts by tokens alone
}

// Contract is a contract with all its versions, the newest last.
type Contract struct {
	Versions []*contract.Contract
	Signed   time.Time
	Noticed  time.Time // zero: no notice was given
	Closed   time.Time // zero: open

	Signatures []contract.Signature // of the version that was signed last
	Key        string               // fingerprint of the tenant's key that signed it; "": its token alone
}

// Current is the newest version.
func (c *Contract) Current() *contract.Contract { return c.Versions[len(c.Versions)-1] }

// Quote is an offer that holds capacity until it expires.
type Quote struct {
	ID       string
	Tenant   string
	Contract *contract.Contract
	Raw      []byte
	Expires  time.Time
	Parts    []contract.QuotedPart // with their nodes, also where the tenant is not told yet
	Offered  contract.Signature
	Assented *contract.Assented // by the tenant that has offered it; nil: not yet
	Since    time.Time          // when it was offered
	Withheld bool               // its tenant is not told the place
}

// Lease is one tranche's slice with what has been delivered of it.
type Lease struct {
	lease.Lease
	Certificate claim.Digest
	Delivered   int           // slots that are up for the first time, or longer
	Up          []bool        // by slot: delivered at least once, and not since emptied
	Events      []meter.Event // what the meter folds, in scope order
	Returning   time.Time
	Returned    time.Time
	LateNoted   bool
	Verdict     string // newest isolation verdict
	Epoch       uint64
	Certified   claim.Digest // newest isolation certificate
	Probes      int          // that its tenant has filed
	ProbeLeaks  time.Time    // of the newest probe that reached what it must not; zero: none
	Dirty       bool         // delivered ports changed since the newest certificate

	GivenUp *site.Set // slots that are not owed any more; nil: none

	Management string // the management network that it spans; "": none

	billed  []billing // by slot, as Events have it
	Sitting bool      // its tenant was on its first nodes before: see State.Sits
}

// Drift is a port that was locked down, with why.
type Drift struct {
	Since time.Time
	Check string
	State string      `json:"Cause"`      // one of the below
	Maker prove.Maker `json:",omitempty"` // who could have made it; "" the owner
}

// Invoice names an issued invoice.
type Invoice struct {
	meter.Invoiced
	Tenant string
	At     time.Time
}

// NoLease marks a node that no lease holds.
const NoLease = int32(-1)

// Health is what a node is. What its devices last said of its hardware is one of the
// first three; HealthOf tells of its silence, too.
type Health uint8

const (
	Healthy  Health = iota
	Degraded        // reachable, slower than sold
	Failed          // down; it will recover by itself or by a replacement
	Dead            // silent for longer than the policy's grace
	Silent          // does not answer: nobody can say yet
)

var healthNames = [...]string{"healthy", "degraded", "failed", "dead", "silent"}

func (h Health) String() string { return healthNames[h] }

// Nodes are the columns of all nodes, by dense index.
type Nodes struct {
	State     []node.State
	Since     []int64 // Unix seconds of the last move
	Seq       []uint32
	Turnover  []uint32 // turnovers begun
	Attempt   []uint8  // of the step under way
	Begun     []int64  // Unix seconds when the step under way began; 0: none
	Lease     []int32  // index into State.Leases of the holder, or NoLease
	Slot      []uint32
	Owner     []int32                // index of the lease whose data the node may still hold, or NoLease
	Health    []Health               // of the hardware: HealthOf tells of silence, too
	Class     []string               // failure class, "" when healthy
	Silence   map[site.Index]Silence // of those that do not answer
	Cordoned  []bool
	Waiting   []int          // discovered nodes, by hall
	Sick      *site.Set      // nodes whose failure ends only by repair
	Corded    *site.Set      // cordoned nodes
	Exposed   []uint8        // NICs whose isolation is unproven or red
	Unclear   []uint8        // of these, those that the tenant could have made as well
	Forged    []uint8        // of these, those that came from behind the port
	Statement []claim.Digest // last signed turnover statement
	Asked     []claim.Digest // ledger root that the step under way binds its quote to
	WipeAsked []claim.Digest // the same of the wipe before, or of both together
	Wiped     []claim.Digest // body with the receipts of the wipe before the attestation
	Booked    map[site.Index][]Queued
	By        [node.States]*site.Set
}

// Queued is a lease that a node waits for while another has it.
type Queued struct {
	Lease int32
	Slot  uint32
}

// New returns the state before the first entry.
func New() *State {
	s := &State{
		Scopes:     map[string]uint64{},
		Tenants:    map[string]*Tenant{},
		Contracts:  map[string]*Contract{},
		Quotes:     map[QuoteKey]*Quote{},
		Placements: map[claim.Digest]claim.Digest{},
		Volumes:    map[storage.VolumeID]*Volume{},
		Postures:   map[string]Posture{},
		leaseByID:  map[lease.ID]int{},
		Labels:     map[string]*fabric.Pool{},
		projects:   map[fabric.Owner]HolderNumber{},
		Swaps:      map[SlotRef]*Swap{},
		Stays:      map[SlotRef]Stay{},
		Unserved:   map[SlotRef]time.Time{},
		Defrags:    map[lease.ID]*Defrag{},
		Drifted:    map[site.Port]Drift{},
		Unread:     map[site.Leaf]time.Time{},
		Silent:     map[site.Leaf]time.Time{},
		Commands:   map[string]uint64{},
		Tokens:     map[string]*TokenMinted{},
		Approvers:  map[string]*ApproverKey{},
		Touched:    site.NewSet(0),
		Found:      map[string]map[uint32]*FoundLabel{},
		Kept:       site.NewSet(0),
	}
	s.Nodes.Booked, s.Nodes.Silence = map[site.Index][]Queued{}, map[site.Index]Silence{}
	s.Nodes.Sick, s.Nodes.Corded = site.NewSet(0), site.NewSet(0)
	for i := range s.Nodes.By {
		s.Nodes.By[i] = site.NewSet(0)
	}
	s.Control.init()
	return s
}

// LeaseByID finds a lease.
func (s *State) LeaseByID(id lease.ID) (*Lease, bool) {
	i, ok := s.leaseByID[id]
	if !ok {
		return nil, false
	}
	return s.Leases[i], true
}

// LeaseOn returns the lease that holds a node now, or nil.
func (s *State) LeaseOn(n site.Index) *Lease {
	if i := s.Nodes.Lease[n]; i != NoLease {
		return s.Leases[i]
	}
	return nil
}

// LeasesOf lists the leases of a tenant in the order in which they were bound.
func (s *State) LeasesOf(tenant string) []*Lease {
	var out []*Lease
	for _, l := range s.Leases {
		if l.Tenant == tenant {
			out = append(out, l)
		}
	}
	return out
}

// TenantIDs lists the tenants in order of their ids.
func (s *State) TenantIDs() []string {
	ids := make([]string, 0, len(s.Tenants))
	for id := range s.Tenants {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// ContractIDs lists the contracts in order of their ids.
func (s *State) ContractIDs() []string {
	ids := make([]string, 0, len(s.Contracts))
	for id := range s.Contracts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *State) growNodes(count int) {
	c := &s.Nodes
	for len(c.State) < count {
		c.State = append(c.State, node.Discovered)
		c.Since = append(c.Since, s.Time.Unix())
		c.Seq = append(c.Seq, 0)
		c.Turnover = append(c.Turnover, 0)
		c.Attempt = append(c.Attempt, 0)
		c.Begun = append(c.Begun, 0)
		c.Lease = append(c.Lease, NoLease)
		c.Slot = append(c.Slot, 0)
		c.Owner = append(c.Owner, NoLease)
		c.Health = append(c.Health, Healthy)
		c.Class = append(c.Class, "")
		c.Cordoned = append(c.Cordoned, false)
		c.Exposed = append(c.Exposed, 0)
		c.Unclear, c.Forged = append(c.Unclear, 0), append(c.Forged, 0)
		c.Statement = append(c.Statement, claim.Digest{})
		c.Asked = append(c.Asked, claim.Digest{})
		c.WipeAsked, c.Wiped = append(c.WipeAsked, claim.Digest{}), append(c.Wiped, claim.Digest{})
		n := site.Index(len(c.State) - 1)
		c.By[node.Discovered].Add(n)
		for len(c.Waiting) < len(s.Site.Halls) {
			c.Waiting = append(c.Waiting, 0)
		}
		c.Waiting[s.Site.HallOf(n)]++
		s.Touched.Add(n)
	}
}

// nodeAt is the node of an index in an entry.
func (s *State) nodeAt(index uint32) (site.Index, error) {
	if int64(index) >= int64(len(s.Nodes.State)) {
		return 0, fmt.Errorf("node %d of %d", index, len(s.Nodes.State))
	}
	return site.Index(index), nil
}

func (s *State) nodeByID(id string) (site.Index, error) {
	if s.Site == nil {
		return 0, fmt.Errorf("node %q: no site has been imported", id)
	}
	n, ok := s.Site.Lookup(id)
	if !ok {
		return 0, fmt.Errorf("node %q: the site has no node of this id", id)
	}
	return n, nil
}
