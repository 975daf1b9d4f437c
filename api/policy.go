package api

import "slices"

// rule says who may call a method.
type rule struct {
	roles []Role
	// own limits tenants' roles to their own tenant's resources. Where it is
	// false and a tenant's role is listed, the answer holds nothing of anybody.
	own bool
}

var (
	owners  = []Role{Operator, Approver, Finance, Auditor}
	readers = append(slices.Clone(owners), Administrator, Viewer)
)

// policy is who may do what: the one place. A method that is missing here is
// refused to everybody.
var policy = map[string]rule{
	"ShowSite":       {owners, false},
	"DiffSite":       {owners, false},
	"ImportSite":     {[]Role{Operator}, false},
	"RescheduleHall": {[]Role{Operator}, false},

	"RegisterTenant": {[]Role{Operator, Finance}, false},
	"ListTenants":    {readers, true},

	"OfferQuote": {[]Role{Finance, Operator, Administrator}, true},
	"ShowQuote":  {readers, true},
	"SignLease":  {[]Role{Finance, Administrator}, true},
	"GiveNotice": {[]Role{Finance, Administrator}, true},

	"ListLeases": {readers, true},
	"GetLease":   {readers, true},
	"GetHosts":   {[]Role{Administrator, Viewer, Operator}, true},

	"ListNodes":              {readers, true},
	"GetNode":                {readers, true},
	"CordonNode":             {[]Role{Operator}, false},
	"ReplaceNode":            {[]Role{Operator}, false},
	"AcknowledgeReplacement": {[]Role{Administrator}, true},
	"RepairNode":             {[]Role{Operator}, false},

	"ShowIsolation": {readers, true},
	"ProveLease":    {[]Role{Operator, Auditor, Administrator, Viewer}, true},

	"ShowPlan":     {owners, false},
	"ReleaseBrake": {[]Role{Approver}, false},
	"Pause":        {[]Role{Operator, Approver}, false},
	"Resume":       {[]Role{Operator, Approver}, false},

	"ListInvoices":   {[]Role{Finance, Auditor, Administrator, Viewer}, true},
	"GetInvoice":     {[]Role{Finance, Auditor, Administrator, Viewer}, true},
	"ExplainInvoice": {[]Role{Finance, Auditor, Administrator, Viewer}, true},

	"WriteBundle":   {[]Role{Auditor, Administrator, Viewer}, true},
	"TailLedger":    {[]Role{Operator, Auditor, Administrator, Viewer}, true},
	"GetCheckpoint": {readers, true},
	"GetTrust":      {readers, false},

	"ListKeys":  {[]Role{Operator, Auditor}, false},
	"RotateKey": {[]Role{Operator}, false},
}

// allowed says whether a role may call a method.
func allowed(method string, role Role) bool {
	r, known := policy[method]
	return known && slices.Contains(r.roles, role)
}
