package place

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Mask is a set of port positions, 0 to 127: the spines that a leaf's uplinks
// lead to, or the cores that a spine's do. Its text form is ranges, "0-62,64".
type Mask [2]uint64

// maskBits is how many positions a mask has room for: the template allows no
// more spines and cores than that.
const MaskBits = 128

// below returns the positions 0 to n-1.
func MaskBelow(n int) Mask {
	switch {
	case n <= 0:
		return Mask{}
	case n < 64:
		return Mask{1<<n - 1, 0}
	case n < MaskBits:
		return Mask{^uint64(0), 1<<(n-64) - 1}
	}
	return Mask{^uint64(0), ^uint64(0)}
}

// one returns the mask of one position.
func MaskOf(i int) Mask {
	var m Mask
	m[i>>6] = 1 << (i & 63)
	return m
}

// Has reports whether position i is in the mask.
func (m Mask) Has(i int) bool { return i >= 0 && i < MaskBits && m[i>>6]>>(i&63)&1 == 1 }

// Count returns how many positions are in the mask.
func (m Mask) Count() int { return bits.OnesCount64(m[0]) + bits.OnesCount64(m[1]) }

// Empty reports whether no position is in the mask.
func (m Mask) Empty() bool { return m == Mask{} }

func (m Mask) And(o Mask) Mask   { return Mask{m[0] & o[0], m[1] & o[1]} }
func (m Mask) Or(o Mask) Mask    { return Mask{m[0] | o[0], m[1] | o[1]} }
func (m Mask) Minus(o Mask) Mask { return Mask{m[0] &^ o[0], m[1] &^ o[1]} }

// within reports whether every position of m is in o.
func (m Mask) Within(o Mask) bool { return m.Minus(o).Empty() }

// lowest returns the n lowest positions of m, or all if it has fewer.
func (m Mask) Lowest(n int) Mask {
	var out Mask
	for word := range m {
		for left := m[word]; left != 0 && n > 0; n-- {
			out[word] |= left & -left
			left &= left - 1
		}
	}
	return out
}

// first returns the lowest position, or -1.
func (m Mask) First() int {
	for word := range m {
		if m[word] != 0 {
			return word*64 + bits.TrailingZeros64(m[word])
		}
	}
	return -1
}

// all yields the positions in ascending order.
func (m Mask) All(yield func(int) bool) {
	for word := range m {
		for left := m[word]; left != 0; left &= left - 1 {
			if !yield(word*64 + bits.TrailingZeros64(left)) {
				return
			}
		}
	}
}

func (m Mask) String() string {
	var b strings.Builder
	for i := 0; i < MaskBits; i++ {
		if !m.Has(i) {
			continue
		}
		last := i
		for m.Has(last + 1) {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(i))
		if last > i {
			b.WriteString("-" + strconv.Itoa(last))
		}
		i = last
	}
	return b.String()
}

// MarshalText writes the ranges of the mask.
func (m Mask) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote, and no other form of it.
func (m *Mask) UnmarshalText(text []byte) error {
	*m = Mask{}
	if len(text) == 0 {
		return nil
	}
	for _, part := range strings.Split(string(text), ",") {
		from, to, ranged := strings.Cut(part, "-")
		low, err := strconv.Atoi(from)
		high := low
		if err == nil && ranged {
			high, err = strconv.Atoi(to)
		}
		if err != nil || low < 0 || high < low || high >= MaskBits {
			return fmt.Errorf("positions %.80q: expected ranges from 0 to %d, such as 0-62", text, MaskBits-1)
		}
		*m = m.Or(MaskBelow(high + 1).Minus(MaskBelow(low)))
	}
	if m.String() != string(text) {
		return fmt.Errorf("positions %.80q: expected ascending ranges, as %q", text, m.String())
	}
	return nil
}
