package contract

import (
	"fmt"
	"math/big"
	"strings"
)

// Decimal is an exact decimal number in canonical form: an optional minus
// sign, digits without leading zeros, and at most MaxDecimals digits after the
// point without trailing zeros. The empty Decimal means "not given".
type Decimal string

// The longest decimals that ParseDecimal accepts: 15 digits before the point
// hold any sum of money, 9 after it any price.
const (
	MaxWhole    = 15
	MaxDecimals = 9
)

// ParseDecimal reads a number that a person wrote, such as "1_250_000_000" or
// "3.950". Exponents, signs other than a leading minus and digits beyond the
// limits are errors.
func ParseDecimal(text string) (Decimal, error) {
	bad := func(want string) (Decimal, error) {
		return "", fmt.Errorf("%.40q is not a decimal number: %s", text, want)
	}
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	grouped := whole
	whole = strings.ReplaceAll(whole, "_", "")
	if strings.HasPrefix(grouped, "_") || strings.HasSuffix(grouped, "_") || strings.Contains(grouped, "__") {
		return bad("put single underscores between digits only")
	}
	if whole == "" || point && fraction == "" {
		return bad("expected digits on both sides of the point, such as 3.95")
	}
	for _, r := range whole + fraction {
		if r < '0' || r > '9' {
			return bad("expected digits and one point, such as 1250000000 or 3.95")
		}
	}
	whole = strings.TrimLeft(whole, "0")
	fraction = strings.TrimRight(fraction, "0")
	if len(whole) > MaxWhole || len(fraction) > MaxDecimals {
		return bad(fmt.Sprintf("at most %d digits before the point and %d after it", MaxWhole, MaxDecimals))
	}
	if whole == "" {
		whole = "0"
	}
	out := whole
	if fraction != "" {
		out += "." + fraction
	}
	if negative && out != "0" {
		out = "-" + out
	}
	return Decimal(out), nil
}

// Valid reports whether d is in canonical form and not empty.
func (d Decimal) Valid() bool {
	canonical, err := ParseDecimal(string(d))
	return err == nil && canonical == d
}

// Rat returns the exact value; the empty and any malformed Decimal is 0.
func (d Decimal) Rat() *big.Rat {
	r := new(big.Rat)
	if d.Valid() {
		r.SetString(string(d))
	}
	return r
}

// Sign is -1, 0 or 1; 0 for the empty Decimal.
func (d Decimal) Sign() int { return d.Rat().Sign() }

// hundredth moves the point two digits to the left, exactly.
func (d Decimal) hundredth() (Decimal, error) {
	digits, negative := strings.CutPrefix(string(d), "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	whole = "00" + whole
	at := len(whole) - 2
	text := whole[:at] + "." + whole[at:] + fraction
	if negative {
		text = "-" + text
	}
	return ParseDecimal(text)
}

// Percent prints a share as a percentage: "97 %".
func (d Decimal) Percent() string {
	r := d.Rat()
	r.Mul(r, big.NewRat(100, 1))
	text := r.FloatString(MaxDecimals)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + " %"
}
