package prove

import "bulkhead/claim"

// KindVerdict is the entry kind of an isolation verdict, in the scope of the
// tenant whose lease it judges.
const KindVerdict = "isolation.verdict/1"

// Judged records a verdict about one lease at one epoch; Certificate is the
// body with the signed isolation certificate.
type Judged struct {
	Lease       string       `json:"lease"`
	Epoch       uint64       `json:"epoch"`
	Verdict     string       `json:"verdict"`
	Ports       int          `json:"ports"`
	Red         int          `json:"red"`
	Unknown     int          `json:"unknown"`
	Certificate claim.Digest `json:"certificate"`
}
