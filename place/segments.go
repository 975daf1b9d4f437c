package place

import (
	"fmt"
	"strings"
)

// NoSegmentsError says that there are too few racks in which a segment fits.
type NoSegmentsError struct {
	Ask  Ask
	Have int   // racks in which one fits
	Free []int // nodes free in each rack that has any, the most first
}

func (e *NoSegmentsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s as %s of %s each do not fit: %s, ", e.Ask, count(e.Ask.Nodes/e.Ask.Segment, "segment"), count(e.Ask.Segment, "node"), segmentsFit(e.Have))
	if len(e.Free) == 0 {
		b.WriteString("and no rack has a free node")
	}
	for at := 0; at < len(e.Free); {
		same := at
		for same < len(e.Free) && e.Free[same] == e.Free[at] {
			same++
		}
		if at == 0 {
			b.WriteString("free are ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s in %s", count(e.Free[at], "node"), count(same-at, "rack"))
		at = same
	}
	b.WriteString(". Such a rack is one NVLink domain, and each segment takes a domain of its own")
	return b.String()
}

func segmentsFit(racks int) string {
	switch racks {
	case 0:
		return "in no rack one fits"
	case 1:
		return "in 1 rack one fits"
	}
	return fmt.Sprintf("in %d racks one fits", racks)
}
