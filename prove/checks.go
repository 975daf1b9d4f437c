package prove

import (
	"fmt"
	"math/bits"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Verdict is what the checks say of a port or a lease. The zero value is Unknown.
type Verdict uint8

// The verdicts.
const (
	Unknown Verdict = iota // nothing that was read says either way
	Proven                 // isolated, and connected to its own owner's ports
	Red                    // read-back shows a violation
	Cut                    // isolated, but not connected to its own owner's ports, or not in its traffic class
	verdicts
)

var verdictNames = [verdicts]string{"unknown", "proven", "red", "cut off"}

func (v Verdict) String() string {
	if v < verdicts {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict(%d)", uint8(v))
}

// ParseVerdict reads the name of a verdict.
func ParseVerdict(name string) (Verdict, error) {
	for v, n := range verdictNames {
		if n == name {
			return Verdict(v), nil
		}
	}
	return Unknown, fmt.Errorf("verdict %.40q: expected unknown, proven, red or cut off", name)
}

// Check is a named check of a port: the reason of a verdict. Where several fail,
// the lowest is the reason.
type Check uint8

// The checks, in the order of precedence.
const (
	Passed          Check = iota
	Unreadable            // there is no read-back, or none that is fresh
	EnforcementOff        // the leaf port does not enforce its table both ways
	TableFull             // a table has no free entry: enforcement stops silently
	ForeignLabel          // a label of another owner
	UnownedLabel          // a label that the ledger gives to nobody
	SharedFull            // full membership of a shared label
	UnderlayOpen          // the leaf unpacks what comes from no leaf of the fabric, or lets the port into the underlay
	ForeignRoute          // routes under another label's target, of what is not behind the leaf, or from a stranger
	StrayPath             // packets of the port's label are sent to what is no leaf of the fabric
	Mirrored              // copies of the port's packets go elsewhere
	WrongNeighbour        // not the NIC that the inventory says
	UncountedPort         // the leaf has a live port that is not in the inventory
	NoNeighbour           // nobody seen behind the port
	Unheld                // the ledger says nothing of who holds the port
	Unlabelled            // no label at all
	MissingOwnLabel       // not a full member of its holder's label, on both sides
	WrongClass            // not in the traffic class of its label, or its packets are not treated as planned
	WrongPolicy           // a route reflector stops the routes of its label
	Unannounced           // its leaf does not tell others that it has ports of its label
	Unlearnt              // its leaf does not know another that has ports of its label
	Unreached             // its packets do not arrive at another port of its label, or that one's at it
	checks
)

// checkRow is one row of the table of checks.
type checkRow struct {
	name    string
	verdict Verdict
}

var checkTable = [checks]checkRow{
	Passed:          {"passed", Proven},
	Unreadable:      {"unreadable", Unknown},
	EnforcementOff:  {"enforcement-off", Red},
	TableFull:       {"table-full", Red},
	ForeignLabel:    {"foreign-label", Red},
	UnownedLabel:    {"unowned-label", Red},
	SharedFull:      {"shared-full", Red},
	UnderlayOpen:    {"underlay-open", Red},
	ForeignRoute:    {"foreign-route", Red},
	StrayPath:       {"stray-path", Red},
	Mirrored:        {"mirrored", Red},
	WrongNeighbour:  {"wrong-neighbour", Red},
	UncountedPort:   {"uncounted-port", Unknown},
	NoNeighbour:     {"no-neighbour", Unknown},
	Unheld:          {"unheld", Unknown},
	Unlabelled:      {"unlabelled", Cut},
	MissingOwnLabel: {"missing-own-label", Cut},
	WrongClass:      {"wrong-class", Cut},
	WrongPolicy:     {"wrong-policy", Cut},
	Unannounced:     {"unannounced", Cut},
	Unlearnt:        {"unlearnt", Cut},
	Unreached:       {"unreached", Cut},
}

func (c Check) String() string {
	if c < checks {
		return checkTable[c].name
	}
	return fmt.Sprintf("check(%d)", uint8(c))
}

// Verdict returns the verdict of a port at which c is the first check to fail.
func (c Check) Verdict() Verdict {
	if c < checks {
		return checkTable[c].verdict
	}
	return Unknown
}

// Rewritten reports whether a port that fails the check is written again although it
// is not red: it is cut off. Nothing leaks, so closing the port would cost its tenant more.
func (c Check) Rewritten() bool { return c.Verdict() == Cut }

// Rewritten is [Check.Rewritten] of a check by its name.
func Rewritten(name string) bool {
	for c := range checks {
		if c.String() == name {
			return c.Rewritten()
		}
	}
	return false
}

// Checks returns every check, in order, without Passed.
func Checks() []Check {
	list := make([]Check, 0, checks-1)
	for c := Passed + 1; c < checks; c++ {
		list = append(list, c)
	}
	return list
}

// symptoms is a set of failed checks: bit c for Check c. The bit of Passed is
// used for usedTurnover.
type symptoms uint32

const usedTurnover symptoms = 1 << Passed // the verdict depends on the node's other ports' holders

const everyCheck symptoms = 1<<checks - 1 - usedTurnover

// first is the reason: the first failed check among those that are enabled.
func (s symptoms) first(enabled symptoms) Check {
	s &= enabled
	if s == 0 {
		return Passed
	}
	return Check(bits.TrailingZeros32(uint32(s)))
}

// portView is what the checks look at: views, nothing is copied.
type portView struct {
	port      site.Port
	nic, leaf []fabric.Member
	flags     fabric.Flags
	neighbour uint64
	class     uint8
	unread    bool // the device's read-back does not count
	uncounted bool // the device has live ports that are not in the inventory
}

// examine runs every check on one port. Cost: O(members), about 10 ns.
func (f *Facts) examine(v *portView, fabricIndex uint8) symptoms {
	const enforced = fabric.FlagEnforceIn | fabric.FlagEnforceOut
	var s symptoms
	if v.unread || v.flags&fabric.FlagRead == 0 {
		s |= 1 << Unreadable
	}
	if v.uncounted {
		s |= 1 << UncountedPort
	}
	if v.flags&enforced != enforced {
		s |= 1 << EnforcementOff
	}
	if v.flags&fabric.FlagFull != 0 {
		s |= 1 << TableFull
	}
	s |= faultChecks(v.flags.Faults())
	switch v.neighbour {
	case f.site.PortID[v.port]:
		if v.neighbour == 0 {
			s |= 1 << NoNeighbour
		}
	case 0:
		s |= 1 << NoNeighbour
	default:
		s |= 1 << WrongNeighbour
	}
	o := &f.owners[fabricIndex]
	holder := f.holder[v.port]
	if holder == Nobody {
		s |= 1 << Unheld
	}
	own := s.members(f, o, v.port, holder, v.leaf)
	if o.nicTables || len(v.nic) > 0 {
		own = s.members(f, o, v.port, holder, v.nic) && own
	}
	if len(v.nic)+len(v.leaf) == 0 {
		s |= 1 << Unlabelled
	}
	if !own {
		s |= 1 << MissingOwnLabel
	}
	if len(v.leaf) == 1 && v.class != fabric.ClassOf(o.family, v.leaf[0].Value()) {
		s |= 1 << WrongClass
	}
	return s
}

// faultChecks are the checks that faults of a leaf fail.
func faultChecks(f fabric.Faults) (s symptoms) {
	if f == 0 {
		return 0
	}
	for _, row := range [...]struct {
		fault fabric.Faults
		check Check
	}{
		{fabric.FaultUnderlay, UnderlayOpen}, {fabric.FaultRoutes, ForeignRoute}, {fabric.FaultPath, StrayPath},
		{fabric.FaultMirror, Mirrored}, {fabric.FaultClass, WrongClass},
		{fabric.FaultPolicy, WrongPolicy}, {fabric.FaultForged, ForeignRoute}, {fabric.FaultUnannounced, Unannounced},
		{fabric.FaultUnlearnt, Unlearnt}, {fabric.FaultUnreached, Unreached}, {fabric.FaultAddress, Unreached},
	} {
		if f&row.fault != 0 {
			s |= 1 << row.check
		}
	}
	return s
}

// members checks one side's table and reports whether it holds the holder's own
// label in the way that connects it.
func (s *symptoms) members(f *Facts, o *owners, port site.Port, holder uint32, table []fabric.Member) (own bool) {
	for _, m := range table {
		value := m.Value()
		if o.isShared(value) {
			if m.IsFull() {
				*s |= 1 << SharedFull
			}
			if holder == Quarantined && value == o.quarantine {
				own = true
			}
			continue
		}
		switch owner := o.ownerOf(value); {
		case owner == Nobody:
			*s |= 1 << UnownedLabel
		case owner == holder:
			own = own || m.IsFull()
		case f.ownTurnover(port, owner):
			*s |= usedTurnover
		default:
			*s |= 1 << ForeignLabel
			if owner == TurnoverHolder(port.Node()) {
				*s |= usedTurnover
			}
		}
	}
	return own
}
