// Package contract is what was promised, to whom, for how much, and what an act comes to:
// tranches, rates, service levels, tax. Its term says for how long.
//
// A contract version is a value that never changes: an amendment is a new
// version with an effective instant. People write contracts as YAML (Parse),
// the ledger holds their canonical JSON (Encode, Decode). Both go through the
// same rules (Check), so a contract that exists as a value is a valid one.
//
// Quantities are GPUs, money is an exact decimal, instants are whole seconds.
// A date without a time means the first instant of that day in the contract's
// own time zone, and every interval is half open: it holds its first second
// and not its last.
package contract

import (
	"time"

	"bulkhead/claim"
	"bulkhead/lease"
)

// Limits on what a contract may say. They are far above any real contract, and
// low enough that no sum over a month overflows 64 bits.
const (
	NodeGPUs     = 8          // GPUs a node, unless its kind has fewer; quantities are whole nodes
	MaxGPUs      = 16_000_000 // of one contract
	MaxTranches  = 256
	MaxRates     = 1024
	MaxVolumes   = 256
	MaxTermYears = 30
	MaxFile      = 128 << 10 // bytes of a YAML file
)

// Contract is one immutable version of a contract.
type Contract struct {
	ID        string    `json:"id"`
	Version   int       `json:"version"`   // 1, 2, 3 ... without gaps
	Effective time.Time `json:"effective"` // from when this version rules; version 1: Begin
	Title     string    `json:"title"`
	Fictional bool      `json:"fictional"` // an example, between nobody and nobody
	Note      string    `json:"note,omitempty"`
	Tenant    string    `json:"tenant"`
	Project   string    `json:"project"`
	Currency  string    `json:"currency"`  // ISO 4217
	TimeZone  string    `json:"time_zone"` // IANA name; months and days are counted in it, by ZoneRules

	ZoneRules *ZoneRules `json:"zone_rules"` // of the time zone over the term, fixed when the contract is made

	Begin       time.Time    `json:"begin"`
	End         time.Time    `json:"end"`
	NoticeDays  int          `json:"notice_days"`
	FirmUntil   time.Time    `json:"firm_until,omitzero"`   // no notice ends the contract before this
	LegalDigest claim.Digest `json:"legal_digest,omitzero"` // of the text that lawyers signed

	Tranches    []Tranche  `json:"tranches"`
	Rates       []Rate     `json:"rates"`
	TakeOrPay   *TakeOrPay `json:"take_or_pay,omitempty"`
	Prepaid     *Prepaid   `json:"prepaid,omitempty"`
	SLA         []SLA      `json:"sla,omitempty"`        // first match wins: the order is the precedence
	CreditCap   Decimal    `json:"credit_cap,omitempty"` // share of a month's charges that SLA credits can't exceed; "" is no cap
	Unknown     Unknown    `json:"unknown"`
	Storage     []Volume   `json:"storage,omitempty"`
	Termination []Right    `json:"termination,omitempty"`
	Tax         *Tax       `json:"tax,omitempty"`
	Ending      *Ending    `json:"ending,omitempty"` // the act by which this version ends early; never of a file
}

// Tranche is one quantity of one kind of GPU, due at one date. Where several
// kinds are accepted, the quote chooses one (Settlements).
type Tranche struct {
	ID           string      `json:"id"`
	Kind         string      `json:"kind"`                // "H100", "H200"; "" in what is only asked for: one of Kinds, still open
	Kinds        []string    `json:"kinds,omitempty"`     // that were accepted, the preferred first; Kind is the one that was placed
	Fabric       string      `json:"fabric"`              // the site's name of the compute fabric
	GPUs         int64       `json:"gpus"`                // whole nodes: a multiple of GPUsANode
	NodeGPUs     int         `json:"node_gpus,omitempty"` // GPUs a node of the kind, as the site has it; 0: 8, and in what is only asked for, whatever the site has
	Delivery     time.Time   `json:"delivery"`
	End          time.Time   `json:"end"`                     // the contract's end, or before it
	GraceDays    int         `json:"grace_days,omitempty"`    // after which LateDiscount is due
	LateDiscount Decimal     `json:"late_discount,omitempty"` // extra share of the price, for what is late after the grace
	Links        lease.Links `json:"links"`                   // shared | hermetic
	Split        bool        `json:"split,omitempty"`         // may be delivered in parts
	SplitRacks   bool        `json:"split_racks,omitempty"`   // may have a part of a rack that is one NVLink domain
	SegmentGPUs  int64       `json:"segment_gpus,omitempty"`  // comes in groups of so many, each in an NVLink domain of its own; 0: in no groups
	Acceptance   string      `json:"acceptance"`              // "on-delivery": billed from the second it is handed over
	Volumes      []string    `json:"volumes,omitempty"`       // storage that comes with it
	Clause       string      `json:"clause,omitempty"`
}

// GPUsANode is how many GPUs each node of the tranche has.
func (t *Tranche) GPUsANode() int {
	if t.NodeGPUs == 0 {
		return NodeGPUs
	}
	return t.NodeGPUs
}

// Slots is the number of node positions that the tranche promises.
func (t *Tranche) Slots() int { return int(t.GPUs / int64(t.GPUsANode())) }

// SegmentNodes is the nodes of a segment; 0: the tranche comes in none.
func (t *Tranche) SegmentNodes() int { return int(t.SegmentGPUs / int64(t.GPUsANode())) }

// Basis is what a price counts.
type Basis string

const (
	PerMonth   Basis = "month"    // one flat fee a calendar month for all tranches of the rate
	PerGPUHour Basis = "gpu-hour" // a price for 3,600 seconds of one GPU
)

// Rate prices tranches from From until To. A flat fee prorates by the actual
// seconds of the calendar month, never by 730 hours.
type Rate struct {
	Tranches []string  `json:"tranches"`
	Kind     string    `json:"kind,omitempty"` // the price is of this kind; "": whatever their kind is
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Basis    Basis     `json:"basis"`
	Price    Decimal   `json:"price"`
	Clause   string    `json:"clause,omitempty"`
}

// TakeOrPay is the least that is paid each month for the tranches that are
// priced by the GPU-hour: Share of what was delivered and owed, used or not.
type TakeOrPay struct {
	Tranches []string `json:"tranches"`
	Share    Decimal  `json:"share"` // 0.97 is 97 %
	Clause   string   `json:"clause,omitempty"`
}

// Prepaid is paid before the term and drawn down in equal instalments, one in
// each calendar month from the month of From.
type Prepaid struct {
	Amount Decimal   `json:"amount"` // Months whole instalments of the currency's smallest unit
	From   time.Time `json:"from"`   // the first instant of a calendar month
	Months int       `json:"months"`
	Clause string    `json:"clause,omitempty"`

	// EarlyEnd says what becomes of what is left when the tenant ends the contract early
	// without a reason: "forfeit", or "", a refund. Whoever else ends it, it is refunded.
	EarlyEnd string `json:"early_end,omitempty"`
}

// Metric is what a service level is about.
type Metric string

const (
	NodeAvailability Metric = "node-availability" // slots that are down by the owner's fault
	ReplacementTime  Metric = "replacement-time"  // the same, longer than After
	DegradedNodes    Metric = "degraded"          // reachable, but not as sold
	IsolationProven  Metric = "isolation-proven"  // slots whose isolation is not proven
	Maintenance      Metric = "maintenance"       // noticed beyond Allowance, and all that was not noticed
)

// SLA is one service level: which slot-seconds it credits and at which share
// of their price. Its window is the calendar month.
type SLA struct {
	Metric     Metric   `json:"metric"`
	AfterS     int64    `json:"after_s,omitempty"`     // only seconds later than this into an outage count
	AllowanceS int64    `json:"allowance_s,omitempty"` // maintenance: noticed seconds a slot and month that are not credited
	Tiers      []Tier   `json:"tiers"`                 // from the best to the worst
	Cap        Decimal  `json:"cap,omitempty"`         // share of the month's charges; "" is no cap of its own
	Exclusions []string `json:"exclusions,omitempty"`  // causes that are not credited
	Ports      string   `json:"ports,omitempty"`       // isolation-proven: what a port counts as: "", its share of the node, or "node"
	Unclear    string   `json:"unclear,omitempty"`     // isolation-proven: what the tenant could have made as well: "", not credited, or "credited"
	Clause     string   `json:"clause,omitempty"`
}

// Tier is the credit that is due when the month's availability of a tranche is
// below Below: the share of its delivered time, while the rule was in force,
// that the rule does not match. The last tier that applies counts.
type Tier struct {
	Below  Decimal `json:"below"`  // 1 is always
	Credit Decimal `json:"credit"` // share of the price of the affected GPU-seconds
}

// Unknown says what silence costs: the first GraceS seconds of each silence
// count as what the slot was before it, the rest counts as Then. A slot that
// was not delivered, or given back, before the silence stays so.
type Unknown struct {
	GraceS int64  `json:"grace_s"`
	Then   string `json:"then"` // "up" | "down-owner"
}

// Volume is storage, at a price a terabyte and calendar month.
type Volume struct {
	ID            string    `json:"id"`
	CapacityTB    int64     `json:"capacity_tb"`
	BandwidthGbps int64     `json:"bandwidth_gbps,omitempty"` // gigabits a second, as networks count: 8 are a gigabyte a second
	IOPS          int64     `json:"iops,omitempty"`           // operations a second
	KeyMode       string    `json:"key_mode"`                 // "owner" | "tenant"
	From          time.Time `json:"from"`
	To            time.Time `json:"to"`
	Price         Decimal   `json:"price"` // a TB and calendar month
	Clause        string    `json:"clause,omitempty"`
}

// Right is what a party may do when something has gone wrong for long enough.
type Right struct {
	When      string  `json:"when"`                 // "late" | "convenience" | "early"
	AfterDays int     `json:"after_days,omitempty"` // late: days after the delivery date
	Remedy    string  `json:"remedy"`               // "terminate" | "reduce": leave, or keep what came at a lower fee
	By        string  `json:"by"`                   // "tenant" | "owner" | "either"
	Fee       Decimal `json:"fee,omitempty"`        // early: share of what the contract would have been worth until its end
	Clause    string  `json:"clause,omitempty"`
}

// Tax is added to the sum of all other lines but what was prepaid.
type Tax struct {
	Name   string  `json:"name"`
	Rate   Decimal `json:"rate"`
	Clause string  `json:"clause,omitempty"`
}
