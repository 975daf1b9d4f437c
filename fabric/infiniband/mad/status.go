package mad

import (
	"fmt"
	"strings"
)

// Status is the status field of a response (13.4.7): two flags, a code of three
// bits, and eight bits of the class.
type Status uint16

// The common status bits and codes.
const (
	StatusOK                   Status = 0x0000
	StatusBusy                 Status = 0x0001 // discarded; try again
	StatusRedirect             Status = 0x0002 // ask where ClassPortInfo says
	StatusBadVersion           Status = 0x0004 // base or class version not supported
	StatusMethodUnsupported    Status = 0x0008
	StatusAttributeUnsupported Status = 0x000c // the attribute, or this method of it
	StatusInvalidValue         Status = 0x001c // in the attribute or its modifier

	statusCode Status = 0x001c
	statusDBit Status = 0x8000 // directed-route SMPs only: the direction
)

// Class returns the bits that belong to the class.
func (s Status) Class() Status { return s & 0xff00 }

// String says what the common bits mean; class-specific ones are numbers.
func (s Status) String() string {
	if s == StatusOK {
		return "ok"
	}
	var says []string
	if s&StatusBusy != 0 {
		says = append(says, "busy")
	}
	if s&StatusRedirect != 0 {
		says = append(says, "redirect required")
	}
	switch s & statusCode {
	case 0:
	case StatusBadVersion:
		says = append(says, "version not supported")
	case StatusMethodUnsupported:
		says = append(says, "method not supported")
	case StatusAttributeUnsupported:
		says = append(says, "attribute or its method not supported")
	case StatusInvalidValue:
		says = append(says, "invalid value in attribute or modifier")
	default:
		says = append(says, fmt.Sprintf("reserved code %d", s&statusCode>>2))
	}
	if c := s.Class(); c != 0 {
		says = append(says, fmt.Sprintf("class status 0x%02x", uint16(c>>8)))
	}
	if len(says) == 0 {
		return fmt.Sprintf("status 0x%04x", uint16(s))
	}
	return strings.Join(says, ", ")
}
