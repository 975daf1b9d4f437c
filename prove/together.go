package prove

// A lease has two verdicts. It is apart when nobody else's packets reach its ports; it is
// together when its own members reach each other. One does not follow from the other: a
// leaf that announces a label no more is as isolated as can be, and of no use. The verdict
// of a port or a certificate is the worst of both.
//
// Together is about edge ports, what their leaves announce and what they have learnt, and on
// InfiniBand the forwarding tables between them. The underlay of an Ethernet fabric is not
// read back: see what a certificate does not prove.

// Apart is whether a lease was shown to be isolated, from how many of its ports are red
// and unknown, and whether something was found elsewhere that concerns it: what cuts a
// port off leaks nothing.
func Apart(ports, red, unknown int, elsewhere bool) Verdict {
	switch {
	case red > 0 || elsewhere:
		return Red
	case unknown > 0 || ports == 0:
		return Unknown
	}
	return Proven
}

// Together is whether the members of a lease were shown to reach each other. Of a port that
// is red, or was not read, nobody can say.
func Together(ports, cut, red, unknown int) Verdict {
	switch {
	case cut > 0:
		return Cut
	case red+unknown > 0 || ports == 0:
		return Unknown
	}
	return Proven
}

// Apart is that of the certificate's figures. Cost: O(fabrics).
func (c *Certificate) Apart() Verdict {
	_, red, unknown := c.counts()
	elsewhere := c.NVLink.verdict() == Red
	for _, f := range c.Failed {
		elsewhere = elsewhere || f.Elsewhere
	}
	for i := range c.Fabrics {
		for _, l := range c.Fabrics[i].Labels {
			elsewhere = elsewhere || l.Elsewhere > 0
		}
	}
	return Apart(c.Ports, red, unknown, elsewhere)
}

// Together is that of the certificate's figures. Cost: O(fabrics).
func (c *Certificate) Together() Verdict {
	cut, red, unknown := c.counts()
	return Together(c.Ports, cut, red, unknown)
}

func (c *Certificate) counts() (cut, red, unknown int) {
	for i := range c.Fabrics {
		f := &c.Fabrics[i]
		cut, red, unknown = cut+f.Cut, red+f.Red, unknown+f.Unknown
	}
	return cut, red, unknown
}
