package story

import (
	"bytes"
	"fmt"
	"strings"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
	"bulkhead/storage"
)

// Headlines turns entries into the few lines that a person wants to read while
// the story runs: what is rare, and what is new.
type Headlines struct {
	delivered map[lease.ID]int
	slots     map[lease.ID]int
	caught    map[string]bool
}

// NewHeadlines returns headlines for a ledger from its first entry on.
func NewHeadlines() *Headlines {
	return &Headlines{delivered: map[lease.ID]int{}, slots: map[lease.ID]int{}, caught: map[string]bool{}}
}

// Line is the headline of an entry, or "" for one that makes none.
func (h *Headlines) Line(e *ledger.Entry) string {
	line, err := h.line(e)
	if err != nil {
		return err.Error()
	}
	return line
}

func (h *Headlines) line(e *ledger.Entry) (string, error) {
	if e.Scope == book.SiteScope {
		return h.siteLine(e)
	}
	switch e.Kind {
	case lease.KindBound:
		var b lease.Bound
		err := decode(e, &b)
		h.slots[b.Lease] = b.Slots
		return "", err
	case lease.KindDelivered:
		var b lease.Delivered
		if err := decode(e, &b); err != nil {
			return "", err
		}
		was := h.delivered[b.Lease]
		h.delivered[b.Lease] += len(b.Nodes)
		if was == 0 {
			return fmt.Sprintf("%s: the first nodes are handed over, in %s: %s", b.Lease, b.SU, b.Reason), nil
		}
		if was < h.slots[b.Lease] && h.delivered[b.Lease] >= h.slots[b.Lease] {
			return fmt.Sprintf("%s: all %d nodes have been handed over", b.Lease, h.slots[b.Lease]), nil
		}
	case lease.KindReturning:
		var b lease.Returning
		err := decode(e, &b)
		return fmt.Sprintf("%s is being returned: %s", b.Lease, b.Reason), err
	case lease.KindReturned:
		var b lease.Returned
		err := decode(e, &b)
		return fmt.Sprintf("%s is returned: %d nodes wiped and attested, %d quarantined", b.Lease, b.Wiped, b.Quarantined), err
	case storage.KindStray:
		var b storage.Stray
		err := decode(e, &b)
		return fmt.Sprintf("STRAY: %s can reach volume %s, and nobody ordered it", b.Principal, b.Volume), err
	case storage.KindRevoked:
		var b storage.Revoked
		err := decode(e, &b)
		return fmt.Sprintf("volume %s: access of %s ended, %d open mounts fenced, the old credential is %s", b.Receipt.Volume, b.Receipt.Principal, b.Receipt.EndedMounts, b.Receipt.Probe), err
	case storage.KindDestroyed:
		var b storage.Destroyed
		err := decode(e, &b)
		return fmt.Sprintf("volume %s is destroyed: %s, %d objects left", b.Receipt.Volume, b.Receipt.Method, b.Receipt.ObjectsLeft), err
	case contract.KindNotice, contract.KindTerminated, contract.KindReduced:
		var b contract.Acted
		err := decode(e, &b)
		if e.Kind == contract.KindReduced {
			return fmt.Sprintf("less is kept of what is late, at a lower fee (%s, by the %s)", b.Clause, b.Signed.Party), err
		}
		return fmt.Sprintf("%s is given (%s, by the %s): it ends on %s", b.Act, b.Clause, b.Signed.Party, b.Ends.Format("2006-01-02")), err
	case prove.KindVerdict:
		var b prove.Judged
		if err := decode(e, &b); err != nil {
			return "", err
		}
		if b.Verdict != prove.Proven.String() {
			return fmt.Sprintf("isolation of %s is %s: %d ports red, %d unknown, of %d", b.Lease, b.Verdict, b.Red, b.Unknown, b.Ports), nil
		}
	case meter.KindInvoiced:
		var b meter.Invoiced
		err := decode(e, &b)
		return fmt.Sprintf("invoice %s for %s: %s %s", b.Number, b.From[:7], b.Currency, money(b.Total)), err
	}
	return "", nil
}

func (h *Headlines) siteLine(e *ledger.Entry) (string, error) {
	switch e.Kind {
	case site.KindRescheduled:
		var b site.Rescheduled
		err := decode(e, &b)
		return fmt.Sprintf("%s slips from %s to %s: %s", b.Hall, b.Was.Format("2006-01-02"), b.InService.Format("2006-01-02"), b.Reason), err
	case fabric.KindDrifted:
		var b fabric.Drifted
		err := decode(e, &b)
		if err != nil || len(b.Ports) == 0 {
			return "", err
		}
		return fmt.Sprintf("RED: read-back of fabric %s shows %d ports that are not as proven; the first: %s NIC %d, %s", b.Fabric, len(b.Ports), b.Ports[0].Node, b.Ports[0].NIC, b.Ports[0].Check), nil
	case fabric.KindLocked:
		var b fabric.Locked
		err := decode(e, &b)
		return fmt.Sprintf("%d ports of fabric %s are locked down", len(b.Ports), b.Fabric), err
	case fabric.KindRestored:
		var b fabric.Restored
		err := decode(e, &b)
		return fmt.Sprintf("%d ports of fabric %s are as compiled and proven again", len(b.Ports), b.Fabric), err
	case fabric.KindUnread:
		var b fabric.Unread
		err := decode(e, &b)
		return fmt.Sprintf("UNKNOWN: leaf %s: %s; nothing is locked down for it", b.Leaf, b.Reason), err
	case fabric.KindReread:
		var b fabric.Unread
		err := decode(e, &b)
		return fmt.Sprintf("leaf %s: %s", b.Leaf, b.Reason), err
	case book.KindBrake:
		var b book.Braked
		err := decode(e, &b)
		return "BRAKE: " + b.Detail, err
	case book.KindReleased:
		var b book.Braked
		err := decode(e, &b)
		return fmt.Sprintf("the brake is released by %s: %s", b.By, b.Detail), err
	case node.KindMoved:
		if !bytes.Contains(e.Body, []byte(node.Quarantined.String())) {
			return "", nil // most say that a wave went on as it should: they are not read for that
		}
		var b node.Moved
		if err := decode(e, &b); err != nil {
			return "", err
		}
		if b.To == node.Quarantined && strings.Contains(b.Reason, "read-back") && !h.caught[b.Nodes[0].Node] {
			h.caught[b.Nodes[0].Node] = true
			return fmt.Sprintf("CAUGHT: %s is quarantined: %s", b.Nodes[0].Node, b.Reason), nil
		}
	}
	return "", nil
}

// money groups the digits of an amount.
func money(amount string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + whole + "." + cents
}
