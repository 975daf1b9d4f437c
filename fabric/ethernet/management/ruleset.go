package management

// Table is the nftables table of the gateway, of family inet.
const Table = "bulkhead_management"

// Sets of the table.
const (
	SetManagers = "managers" // addresses
	SetIn       = "bmc_in"   // interface . source MAC . source address, as packets of a BMC come in
	SetOut      = "bmc_out"  // interface . destination address, as packets to a BMC go out
)

// Rule is what a rule demands and does; "" and false demand nothing.
type Rule struct {
	In, Out     string // interface
	FromManager bool   // source address in SetManagers
	ToManager   bool   // destination address in SetManagers
	FromBMC     bool   // interface, MAC and source in SetIn
	ToBMC       bool   // interface and destination in SetOut
	Reply       bool   // of a conversation that the other side began
	Comment     string
}

// Ruleset is what the table holds. Both chains drop what no rule accepts, so that
// the order of rules does not matter, and one rule less lets less pass.
type Ruleset struct {
	Plan    *Plan
	Forward []Rule
	Input   []Rule // to the gateway itself
}

// Compile makes the ruleset of a plan. Its rules are as many for one BMC as for
// 50,000: the sets grow. Cost: O(legs).
func Compile(p *Plan) (Ruleset, error) {
	if err := p.Check(); err != nil {
		return Ruleset{}, err
	}
	return Ruleset{Plan: p,
		Forward: []Rule{
			{In: p.Manage, FromManager: true, ToBMC: true, Comment: "managers reach each BMC at its own leg"},
			{FromBMC: true, Out: p.Manage, ToManager: true, Reply: true, Comment: "a BMC answers, and begins nothing"},
		},
		Input: []Rule{
			{In: "lo", Comment: "the gateway itself"},
			{In: p.Manage, FromManager: true, Comment: "managers look after the gateway"},
			{In: p.Manage, Reply: true, Comment: "what the gateway itself began"},
		}}, nil
}
