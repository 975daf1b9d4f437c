package picture

// Tint is how a holder is drawn: a colour, and a pattern over it once the colours
// have been used.
type Tint struct {
	Colour  string // "#0072b2"
	Ink     string // that is read on it
	Pattern int    // 0: plain; 1: stripes; 2: dots
}

// The colours are those of Okabe and Ito ("Color Universal Design", 2008), which
// people with any common colour vision tell apart, without the yellow, which
// is hard to see on white, and with a brown and a violet of other brightness
// in its place. Neighbours in the list differ in brightness too.
var colours = []Tint{
	{Colour: "#0072b2", Ink: "#ffffff"},
	{Colour: "#e69f00", Ink: "#000000"},
	{Colour: "#009e73", Ink: "#ffffff"},
	{Colour: "#cc79a7", Ink: "#000000"},
	{Colour: "#56b4e9", Ink: "#000000"},
	{Colour: "#d55e00", Ink: "#ffffff"},
	{Colour: "#5b3a8c", Ink: "#ffffff"},
	{Colour: "#8c6d31", Ink: "#ffffff"},
}

const patterns = 3

// drawn is how many holders get a look of their own; the rest is "other leases".
var drawn = len(colours) * patterns

var other = Tint{Colour: "#7f8c99", Ink: "#ffffff"}

// TintOf is how the holder of a number is drawn.
func TintOf(holder int) Tint {
	if holder >= drawn {
		return other
	}
	t := colours[holder%len(colours)]
	t.Pattern = holder / len(colours)
	return t
}
