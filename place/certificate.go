package place

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/site"
)

// CertificateVersion is the version of the certificate that this release writes.
const CertificateVersion = 1

// Certificate is the placement certificate of a slice: how good it is, what the
// limits were, and which part of that a reader can check.
type Certificate struct {
	Version int  `json:"version"`
	Ask     Ask  `json:"ask"`
	Cost    Cost `json:"cost"`  // of the slice, counted over its nodes
	Bound   Cost `json:"bound"` // the fewest domains of each level by itself, whatever the other levels
	Optimum Cost `json:"optimum"`
	Gap     Cost `json:"gap"`  // Optimum - Bound: zero where a level alone proves the optimum
	Free    int  `json:"free"` // nodes of the class that were free

	// Harm is what the slice leaves less whole; nil in certificates of older releases,
	// and where a site is so finely divided that it was not weighed.
	Harm *Harm `json:"harm,omitempty"`
	// HarmBound is what slices of this cost do at least, each level by itself; of
	// hermetic slices only, and nil in certificates of older releases.
	HarmBound *Harm `json:"harm_bound,omitempty"`
	// Nearness is how near it is to the same contract's other tranches; nil where these
	// have no nodes, and in certificates of older releases.
	Nearness *Nearness `json:"nearness,omitempty"`

	Slice     claim.Digest `json:"slice"`     // of the nodes in rank order, see SliceDigest
	Occupancy claim.Digest `json:"occupancy"` // of the free nodes of the class, see OccupancyDigest

	AllReduce Collective `json:"all_reduce"`
	AllToAll  Collective `json:"all_to_all"`

	// Links is the link assignment of a hermetic slice; nil where links are shared.
	Links *LinkSet `json:"links,omitempty"`
	// Cut says that the search for a hermetic slice was ended, by its bound on work,
	// before it had proven its optimum. Least is what it had proven until then: no
	// slice costs less; nil in certificates of older releases.
	Cut   bool  `json:"cut,omitempty"`
	Least *Cost `json:"least,omitempty"`

	// Proof says in words what the checker verifies and what is the solver's word.
	Proof string `json:"proof"`
}

// Tenant returns the copy that a tenant may have: without the lower bounds, the
// free nodes and the occupancy, which would tell what rivals hold. What is left
// out is zero, and the proof says that it was.
func (c Certificate) Tenant() Certificate {
	c.Bound, c.Gap, c.Free, c.Occupancy, c.Least = Cost{}, Cost{}, 0, claim.Digest{}, nil
	c.Harm, c.HarmBound, c.Nearness = nil, nil, nil
	if c.Links != nil {
		links := *c.Links
		links.Occupancy = claim.Digest{}
		c.Links = &links
	}
	c.Proof = "tenant's copy: the cost can be counted over the slice's own nodes; that it is the optimum is " +
		"operator-asserted, because the bounds and the free nodes behind it would tell what other tenants hold. " +
		"The owner's auditor holds the whole certificate."
	if c.Cut {
		c.Proof = "not proven optimal: the search was ended before it was through. " + c.Proof
	}
	return c
}

// Encode returns the canonical JSON of the certificate: the same certificate
// gives the same bytes.
func (c Certificate) Encode() []byte {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // plain numbers and strings always encode
	}
	return data
}

// DecodeCertificate reads what Encode wrote, and nothing else: unknown or
// repeated fields, other spacing and trailing bytes are refused.
func DecodeCertificate(data []byte) (Certificate, error) {
	var c Certificate
	// Lenient JSON: the canonical form is compared byte for byte below, which is stricter.
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return Certificate{}, fmt.Errorf("placement certificate: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Certificate{}, fmt.Errorf("placement certificate: trailing data after the JSON object")
	}
	if c.Version != CertificateVersion {
		return Certificate{}, fmt.Errorf("placement certificate: version %d, expected %d: use a newer release to read it", c.Version, CertificateVersion)
	}
	if !bytes.Equal(c.Encode(), data) {
		return Certificate{}, fmt.Errorf("placement certificate: not in canonical form")
	}
	return c, nil
}

// SliceDigest is the digest of nodes in rank order: SHA-256 over a heading, and
// each index as four bytes, big-endian.
func SliceDigest(nodes []site.Index) claim.Digest {
	buf := make([]byte, 0, len(sliceHeading)+4*len(nodes))
	buf = append(buf, sliceHeading...)
	for _, n := range nodes {
		buf = binary.BigEndian.AppendUint32(buf, uint32(n))
	}
	return claim.DigestOf(buf)
}

const (
	sliceHeading     = "bulkhead slice v1\n"
	occupancyHeading = "bulkhead occupancy v1\n"
)

// OccupancyDigest is the digest of the nodes of a class that may be placed:
// free, no spares, not retired. SHA-256 over a heading, and each index in
// ascending order as four bytes, big-endian. Cost: O(nodes), about 0.5 ms at 50,000.
func OccupancyDigest(s *site.Site, free *site.Set, fabric int, kind string) claim.Digest {
	h := sha256.New()
	buf := append(make([]byte, 0, 4096), occupancyHeading...)
	su, match := -1, false
	for n := range free.All() {
		if int(n) >= s.Nodes() {
			break
		}
		if s.SUOf(n) != su {
			su = s.SUOf(n)
			match = s.SUs[su].Kind == kind && s.Pods[s.SUs[su].Pod].Fabric == fabric
		}
		if !match || s.IsSpare(n) || s.IsRetired(n) {
			continue
		}
		if len(buf) > cap(buf)-4 {
			h.Write(buf)
			buf = buf[:0]
		}
		buf = binary.BigEndian.AppendUint32(buf, uint32(n))
	}
	h.Write(buf)
	return claim.Digest(h.Sum(nil))
}

// Unproven says of a slice whose search was ended what is known of the best, and ""
// of any other.
func (c *Certificate) Unproven() string {
	switch {
	case !c.Cut:
		return ""
	case c.Least == nil:
		return "not proven optimal: the search was ended before it was through."
	}
	return fmt.Sprintf("not proven optimal: the search was ended by its bound on work; this slice costs %s (halls/pods/SUs/racks), and the best costs %s at least.", c.Cost, c.Least)
}

// Words says honestly which levels are proven by the bounds alone. A level
// whose cost equals its own bound is proven: no slice of this size, good or bad
// on the other levels, touches fewer. The rest is the solver's word. It follows from
// gap, ask and cut, so that a proof can say no more than these do.
func (c *Certificate) Words() string {
	var proven, asserted []string
	levels := c.Gap.levels()
	for i, name := range [...]string{"halls", "pods", "SUs", "racks"} {
		if levels[i] == 0 {
			proven = append(proven, name)
		} else {
			asserted = append(asserted, name)
		}
	}
	text := "checked: every node is in the site and free, once, of the asked GPU kind and fabric, no spare, in rank order; " +
		"their number; the cost, counted again; the bound of each level; the collective bounds; both digests. "
	if c.Ask.WholeRacks {
		text += "checked: of every rack all nodes that may be sold are in the slice; what is called free is in such racks. "
	}
	if c.Ask.Segment > 0 {
		text += fmt.Sprintf("checked: of every rack %d nodes are in the slice, a segment; what is called free is the first %d free nodes of each rack that has so many. ", c.Ask.Segment, c.Ask.Segment)
	}
	if c.Ask.Links == lease.Hermetic {
		text += "checked by colouring: every permutation of the slice's traffic fits on the links that it holds, which work and which no other slice holds. "
	}
	text += c.harmWords() + c.Nearness.words()
	if len(proven) > 0 {
		text += "proven by its bound: " + strings.Join(proven, ", ") + ". "
	}
	if len(asserted) == 0 {
		return text + "asserted by the solver: nothing; the bounds meet the cost, so it is the optimum."
	}
	if c.Cut && c.Least != nil {
		return text + c.Unproven() + " That none costs less is the solver's word."
	}
	if c.Cut {
		return text + "not proven: that " + strings.Join(asserted, ", ") +
			" cannot be fewer; the search for a better hermetic slice was ended before it was through."
	}
	return text + "asserted by the solver: that " + strings.Join(asserted, ", ") +
		" cannot be fewer without more of a level before; an exhaustive solver agrees on small sites in its tests."
}

// harmWords says which part of the harm is checked, proven by its bound, or the
// solver's word.
func (c *Certificate) harmWords() string {
	const counted = "checked: the harm, counted again"
	butRacks := ""
	if c.Ask.Nodes > RackHarmNodes {
		butRacks = "but for racks "
	}
	switch {
	case c.Harm == nil:
		return ""
	case c.Ask.Segment > 0 || c.Ask.Links == lease.Hermetic && c.HarmBound == nil:
		return counted + "; that no slice of this cost does less is not said. "
	case c.Ask.Links != lease.Hermetic:
		return counted + ", and that no one rack or SU of the slice could be changed for another with less; that no slice of this cost does less " + butRacks + "is the solver's word. "
	}
	inOne := c.Cost.SUs == 1
	text := counted + ", and that no one rack"
	if inOne {
		text += " or SU"
	}
	text += fmt.Sprintf(" of the slice could be changed for another with less; slices of this cost do %s (halls/pods/SUs/racks) at least, each level by itself. ", c.HarmBound)
	least, is := *c.HarmBound, *c.Harm
	if butRacks != "" {
		least.Racks, is.Racks = 0, 0
	}
	switch {
	case is == least:
		return text + "proven by its bound: that no slice of this cost does less harm" + strings.TrimRight(" "+butRacks, " ") + ". "
	case inOne:
		return text + "that no slice of this cost does less harm is the solver's word. "
	}
	return text + "not proven: that no slice of this cost does less harm. "
}
