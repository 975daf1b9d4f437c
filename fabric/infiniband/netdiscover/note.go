package netdiscover

import (
	"strconv"
	"strings"
)

// note is what the comment at the end of a line says: before the description,
// the LID and LMC of this end; after it those of a switch itself or of the other
// end, and the rate.
type note struct {
	name     string
	enhanced bool
	lids     [2]int // before the description, after it
	lmc      int
	width    int
	speed    string
}

// note reads a comment. Files of other versions have more words in it, and fewer:
// words that are not known are left alone, a number that is wrong is not.
func (p *parser) note(text string) (n note, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return n, nil
	}
	if text[0] != '#' {
		return n, p.fail("%.60q: expected a comment (#) or nothing", text)
	}
	text = text[1:]
	// A description may have quotes in it; what is around it has none.
	before, after := text, ""
	if from := strings.IndexByte(text, '"'); from >= 0 {
		to := strings.LastIndexByte(text, '"')
		if to == from {
			return n, p.fail("a description without an end: expected another quote")
		}
		before, n.name, after = text[:from], text[from+1:to], text[to+1:]
	}
	for i, part := range [2]string{before, after} {
		words := strings.Fields(part)
		for at, word := range words {
			next := ""
			if at+1 < len(words) {
				next = words[at+1]
			}
			switch {
			case word == "lid":
				if n.lids[i], err = p.number("lid", next, 0xffff); err != nil {
					return n, err
				}
			case word == "lmc":
				if n.lmc, err = p.number("lmc", next, 7); err != nil {
					return n, err
				}
			case word == "enhanced" && next == "port":
				n.enhanced = true
			default:
				n.rate(word)
			}
		}
	}
	return n, nil
}

func (p *parser) number(what, word string, most int) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > most {
		return 0, p.fail("%s %.20q: expected 0 to %d", what, word, most)
	}
	return n, nil
}

// speeds are the lane speeds that ibnetdiscover names (IBTA volume 1, 14.2.5.6).
var speeds = map[string]bool{"SDR": true, "DDR": true, "QDR": true, "FDR10": true, "FDR": true, "EDR": true, "HDR": true, "NDR": true, "XDR": true}

// rate reads a word like 4xEDR; any other is none.
func (n *note) rate(word string) {
	lanes, speed, ok := strings.Cut(word, "x")
	width, err := strconv.Atoi(lanes)
	if ok && err == nil && width >= 1 && width <= 12 && speeds[speed] {
		n.width, n.speed = width, speed
	}
}
