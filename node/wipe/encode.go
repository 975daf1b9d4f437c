package wipe

import (
	"encoding/json"
	"fmt"
	"strconv"

	"bulkhead/claim"
)

// Grouped is receipts with a compact JSON: what neighbours have in common is
// written once, so that eight GPUs wiped alike are one group of eight short
// lines. It keeps a node's statement under 5 kB compressed. The order stays.
type Grouped []SanitizeReceipt

// MaxReceipts is how many receipts a node may have: more than any inventory.
const MaxReceipts = 256

// group is what neighbouring receipts have in common.
type group struct {
	Class    string       `json:"class"`
	Model    string       `json:"model"`
	Firmware string       `json:"firmware"`
	Method   string       `json:"method"`
	Level    string       `json:"level"`
	Start    int64        `json:"start"`
	Status   uint16       `json:"status"`
	Progress uint16       `json:"progress"`
	Nonce    claim.Digest `json:"nonce,omitzero"` // left out where it is as in the group before
	Size     uint64       `json:"size"`
	Sampled  int          `json:"sampled"`
	Sample   claim.Digest `json:"sample"`
	Devices  []line       `json:"devices"`
}

// line is what a receipt has of its own.
type line struct {
	Serial string `json:"serial"`
	End    int64  `json:"end"`
	Offset uint64 `json:"offset"`
}

func alike(a, b *SanitizeReceipt) bool {
	return a.Class == b.Class && a.Model == b.Model && a.Firmware == b.Firmware && a.Method == b.Method && a.Level == b.Level &&
		a.Start == b.Start && a.Status == b.Status && a.Progress == b.Progress && a.Nonce == b.Nonce && a.Size == b.Size && a.Sampled == b.Sampled && a.Sample == b.Sample
}

// MarshalJSON writes the groups. It is hand-made: a wave of turnovers writes
// thousands of them.
func (rs Grouped) MarshalJSON() ([]byte, error) {
	return rs.AppendJSON(make([]byte, 0, 4096)), nil
}

// AppendJSON appends what MarshalJSON returns.
func (rs Grouped) AppendJSON(out []byte) []byte {
	out = append(out, '[')
	text := func(field, s string) {
		out = append(out, field...)
		out = appendText(out, s)
	}
	number := func(field string, n int64) {
		out = append(out, field...)
		out = strconv.AppendInt(out, n, 10)
	}
	for i := range rs {
		r := &rs[i]
		switch {
		case i > 0 && alike(r, &rs[i-1]):
			out = append(out, ',')
		default:
			if i > 0 {
				out = append(out, "]},"...)
			}
			text(`{"class":`, r.Class)
			text(`,"model":`, r.Model)
			text(`,"firmware":`, r.Firmware)
			text(`,"method":`, r.Method)
			text(`,"level":`, r.Level)
			number(`,"start":`, r.Start)
			number(`,"status":`, int64(r.Status))
			number(`,"progress":`, int64(r.Progress))
			if i == 0 && !r.Nonce.IsZero() || i > 0 && r.Nonce != rs[i-1].Nonce {
				text(`,"nonce":`, r.Nonce.String())
			}
			out = strconv.AppendUint(append(out, `,"size":`...), r.Size, 10)
			number(`,"sampled":`, int64(r.Sampled))
			text(`,"sample":`, r.Sample.String())
			out = append(out, `,"devices":[`...)
		}
		text(`{"serial":`, r.Serial)
		number(`,"end":`, r.End)
		out = strconv.AppendUint(append(out, `,"offset":`...), r.Offset, 10)
		out = append(out, '}')
	}
	if len(rs) > 0 {
		out = append(out, "]}"...)
	}
	return append(out, ']')
}

// appendText writes a JSON string, as encoding/json would.
func appendText(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // text always encodes
			}
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}

var groupsShape = claim.ShapeOf[[]group]()

// UnmarshalJSON reads what MarshalJSON writes, and no unknown field.
func (rs *Grouped) UnmarshalJSON(data []byte) error {
	var groups []group
	if err := groupsShape.Decode(data, &groups); err != nil {
		return fmt.Errorf("wipe receipts: %w", err)
	}
	receipts, err := expand(groups)
	if err == nil {
		*rs = receipts
	}
	return err
}

// expand returns the receipts of groups.
func expand(groups []group) ([]SanitizeReceipt, error) {
	n := 0
	for i := range groups {
		if len(groups[i].Devices) == 0 {
			return nil, fmt.Errorf("wipe receipts: group %d has no device", i)
		}
		n += len(groups[i].Devices)
	}
	if n > MaxReceipts {
		return nil, fmt.Errorf("wipe receipts: %d, expected at most %d", n, MaxReceipts)
	}
	out := make([]SanitizeReceipt, 0, n)
	for i := range groups {
		g := &groups[i]
		if i > 0 && g.Nonce.IsZero() {
			g.Nonce = groups[i-1].Nonce
		}
		for _, l := range g.Devices {
			out = append(out, SanitizeReceipt{Class: g.Class, Model: g.Model, Serial: l.Serial, Firmware: g.Firmware, Method: g.Method, Level: g.Level,
				Start: g.Start, End: l.End, Status: g.Status, Progress: g.Progress, Nonce: g.Nonce, Size: g.Size, Offset: l.Offset, Sampled: g.Sampled, Sample: g.Sample})
		}
	}
	return out, nil
}
