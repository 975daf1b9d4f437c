package api

import "slices"

// rule says who may call a method.
type rule struct {
	roles []Role
	own   *ownership // how a tenant's role is kept to its own tenant
}

var (
	owners  = []Role{Operator, Approver, Finance, Auditor}
	readers = append(slices.Clone(owners), Administrator, Viewer)

	// monitors may read /metrics.
	monitors = []Role{Monitor, Operator, Auditor}
)

// policy is who may do what, to what: the one place, kept by the guard. A method
// that is missing here is refused to everybody, one whose own is nil to every
// tenant's role.
var policy = map[string]rule{
	"ShowSite":       {owners, nil},
	"DiffSite":       {owners, nil},
	"ImportSite":     {[]Role{Operator}, nil},
	"RescheduleHall": {[]Role{Operator}, nil},
	"ListFound":      {owners, nil},
	"TakeOver":       {[]Role{Approver}, nil},
	"OfferSitting":   {[]Role{Approver}, nil},

	"RegisterTenant": {[]Role{Operator, Finance}, nil},
	"ListTenants":    {readers, listed},

	"RegisterTenantKey": {[]Role{Administrator}, ofTenant},
	"RevokeTenantKey":   {[]Role{Administrator}, ofTenant},
	"ListTenantKeys":    {readers, ofTenant},

	"OfferQuote":    {[]Role{Finance, Operator, Administrator}, ofOffer},
	"ListQuotes":    {readers, listed},
	"ShowQuote":     {readers, ofTenant},
	"SignLease":     {[]Role{Finance, Administrator}, ofTenant},
	"WithdrawQuote": {[]Role{Finance, Operator, Administrator}, ofTenant},

	"ListActs":   {[]Role{Finance, Operator, Auditor, Administrator, Viewer}, ofContract},
	"PreviewAct": {[]Role{Finance, Administrator}, ofContract},
	"PerformAct": {[]Role{Finance, Administrator}, ofContract}, // and the contract's terms: book.PerformAct

	"WhatIfEarliest": {owners, nil},
	"WhatIfSlip":     {owners, nil},
	"WhatIfPlace":    {owners, nil},

	"ListLeases": {readers, listed},
	"GetLease":   {readers, ofLease},
	"GetHosts":   {[]Role{Administrator, Viewer, Operator}, ofLease},
	"GetMount":   {[]Role{Administrator}, ofLease},

	"ListNodes":              {readers, listed},
	"GetNode":                {readers, ofNode},
	"CordonNode":             {[]Role{Operator}, nil},
	"ReplaceNode":            {[]Role{Operator}, nil},
	"AcknowledgeReplacement": {[]Role{Administrator}, ofLease},
	"WithdrawReplacement":    {[]Role{Operator, Approver}, nil},
	"RepairNode":             {[]Role{Operator}, nil},

	"PlanSpares":     {owners, nil},
	"PlanDefrag":     {owners, nil},
	"ProposeDefrag":  {[]Role{Operator}, nil},
	"ShowDefrag":     {readers, ofLease},
	"ConsentDefrag":  {[]Role{Administrator}, ofLease},
	"AcceptDefrag":   {[]Role{Approver}, nil},
	"WithdrawDefrag": {[]Role{Operator, Approver, Administrator}, ofLease},

	"ShowIsolation": {readers, ofLease},
	"ProveLease":    {[]Role{Operator, Auditor, Administrator, Viewer}, ofLease},

	"FileProbe": {[]Role{Administrator}, ofLease},

	"RegisterApprover": {[]Role{Approver}, nil},
	"RevokeApprover":   {[]Role{Approver}, nil},
	"ListApprovers":    {owners, nil},

	"ShowPlan":     {owners, nil},
	"ReleaseBrake": {[]Role{Approver}, nil},
	"ManageSite":   {[]Role{Approver}, nil},
	"Pause":        {[]Role{Operator, Approver}, nil},
	"Resume":       {[]Role{Operator, Approver}, nil},

	"ListInvoices":   {[]Role{Finance, Auditor, Administrator, Viewer}, listed},
	"GetInvoice":     {[]Role{Finance, Auditor, Administrator, Viewer}, ofInvoice},
	"ExplainInvoice": {[]Role{Finance, Auditor, Administrator, Viewer}, ofInvoice},

	"DisputeLine":   {[]Role{Administrator}, ofInvoice},
	"SettleDispute": {[]Role{Finance}, nil},

	"WriteBundle":   {[]Role{Auditor, Administrator, Viewer}, ofTenant},
	"TailLedger":    {[]Role{Operator, Auditor, Administrator, Viewer}, ofScope},
	"GetCheckpoint": {readers, ofTenant},
	"GetTrust":      {readers, open},

	"ListKeys":  {[]Role{Operator, Auditor}, nil},
	"RotateKey": {[]Role{Operator}, nil},

	"ShowClock":    {owners, nil},
	"ConfirmClock": {[]Role{Approver}, nil},
	"ShowCommand":  {readers, open}, // of a tenant's role: only what came with its own token
}

// allowed says whether a role may call a method.
func allowed(method string, role Role) bool {
	r, known := policy[method]
	return known && slices.Contains(r.roles, role)
}

// whoMay says which roles of the same party may call a method that one may not.
func whoMay(role Role, method string) string {
	roles := policy[method].roles
	may := slices.DeleteFunc(slices.Clone(roles), func(other Role) bool { return other.OfTenant() != role.OfTenant() })
	switch {
	case len(roles) == 0: // nobody may
		return ""
	case len(may) == 0 && role.OfTenant():
		return ": only the owner's roles may"
	case len(may) == 0:
		return ": only a tenant's roles may"
	}
	text := ": "
	for i, other := range may {
		switch {
		case i > 0 && i == len(may)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += string(other)
	}
	return text + " may"
}
