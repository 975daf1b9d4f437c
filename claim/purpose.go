package claim

// What keys are for. A key signs for one purpose, and a signature that was made for one
// counts for no other. What signed statements say within one is their predicate type.
const (
	// The owner's, in its keystore.
	PurposeCheckpoint = "checkpoint" // heads of the ledger and of its scopes, as signed notes
	PurposeStatement  = "statement"  // evidence, manifests of bundles, what was done to the ledger
	PurposeInvoice    = "invoice"
	PurposeWebhook    = "webhook" // what the notifier posts

	// A tenant's own, on its nodes.
	PurposeProbe = "probe" // what got through to a node, or did not

	// People's, as namespaces of SSHSIG: no signature that was made for anything else, a
	// file or a commit, is one.
	PurposeTenantAct   = "tenant-act@bulkhead"   // an act of a tenant
	PurposeApproverAct = "approver-act@bulkhead" // what needs two people
)
