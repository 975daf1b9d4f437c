package node

import (
	"bytes"
	"errors"

	"bulkhead/node/wipe"
)

// Receipts are most of an evidence and of a statement, and encoding/json reads
// through them three times before wipe.Parse does. So they are lifted out where they
// have the very form in which they are written. Any other form of the same JSON is
// read as it is, so that what is accepted does not depend on who reads.

const (
	liftedField = `"receipts":`
	liftedBegin = liftedField + `[{"class":`
	liftedEnd   = `}]}]`
)

// lifted stands where the receipts were.
type lifted struct{ times int }

func (l *lifted) UnmarshalJSON(data []byte) error {
	l.times++
	if string(data) != "0" {
		return errors.New("receipts given twice")
	}
	return nil
}

// lift returns the receipts in data, and data with a 0 in their place. What it returns
// holds only if the 0 is then read exactly once, as a lifted.
func lift(data []byte) (rest []byte, receipts []wipe.SanitizeReceipt, ok bool) {
	begin := bytes.Index(data, []byte(liftedBegin))
	if begin < 0 || len(data) > maxEvidence {
		return nil, nil, false
	}
	begin += len(liftedField)
	length := bytes.Index(data[begin:], []byte(liftedEnd))
	if length < 0 {
		return nil, nil, false
	}
	end := begin + length + len(liftedEnd)
	receipts, ok = wipe.ParsePlain(data[begin:end])
	if !ok {
		return nil, nil, false
	}
	rest = append(make([]byte, 0, len(data)-(end-begin)+1), data[:begin]...)
	return append(append(rest, '0'), data[end:]...), receipts, true
}
