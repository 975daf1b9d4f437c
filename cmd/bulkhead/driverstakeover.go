package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"bulkhead/claim"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/site"
	"bulkhead/wire/drivers"
)

type driversTakeover struct {
	File   string `arg:"" help:"Configuration, YAML; docs/drivers.md describes it."`
	Fabric string `required:"" placeholder:"ID" help:"Which fabric of the file."`
	Digest string `placeholder:"sha256:DIGEST" help:"Take the file over that has this digest. Without it nothing is written."`
	format
}

// Help is the example.
func (driversTakeover) Help() string {
	return `Shows the partitions that a file of others makes: a site that runs already, or an
edit by hand. With --digest, which it prints, it writes the same members in the
form that drivers write, and makes the manager read it. Only full membership of
the default partition is taken away, of all but service ports, and limited
membership beside full one; what is lost is shown first, with warnings of
partitions that separate nobody.

Example:

    bulkhead drivers takeover /etc/bulkhead/ib.yaml --fabric ib`
}

// partition is one key for people.
type partition struct {
	Key     string   `json:"key"`
	Full    []string `json:"full,omitempty"`
	Limited []string `json:"limited,omitempty"`
}

// Run shows, and takes over.
func (c *driversTakeover) Run(ctx context.Context) (err error) {
	f, err := drivers.Read(c.File)
	if err != nil {
		return err
	}
	opened, closeAll, err := f.Open(ctx, driversLog())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	guarded, is := drivers.Subnet(opened[c.Fabric])
	if !is {
		return usagef("--fabric %s: expected a fabric of the file that OpenSM manages", c.Fabric)
	}
	found, err := guarded.Look()
	if err != nil {
		return err
	}
	kept, lost := guarded.Keep(found)
	seen := struct {
		Digest string      `json:"digest"`
		Ours   bool        `json:"ours"`
		Open   string      `json:"open,omitempty"` // why OpenSM opens the fabric on it
		Keeps  []partition `json:"keeps"`
		Loses  []partition `json:"loses"`
		Notes  []string    `json:"notes"`
		Taken  bool        `json:"taken"`
	}{Digest: found.Digest.String(), Ours: found.Edited == nil, Keeps: byKey(guarded.Site, kept), Loses: byKey(guarded.Site, lost)}
	seen.Notes = append(populations(found), everybody(guarded, found)...)
	if found.Effect.Open {
		seen.Open = fmt.Sprintf("line %d: %s", found.Effect.Line, found.Effect.Why)
	}
	if c.Digest != "" {
		digest, err := claim.ParseDigest(c.Digest)
		if err != nil {
			return usagef("--digest: %v", err)
		}
		if digest != found.Digest {
			return fmt.Errorf("--digest %s: the file is %s now: look at it again", c.Digest, found.Digest)
		}
		if seen.Ours {
			return errors.New("the file is the one that was put last: there is nothing to take over")
		}
		if err := guarded.TakeOverAsIs(ctx, found); err != nil {
			return err
		}
		seen.Taken = true
	}
	return c.print(seen, func(w io.Writer) {
		row(w, "file", map[bool]string{true: "is the one that was put last", false: "is not ours"}[seen.Ours])
		row(w, "digest", seen.Digest)
		if seen.Open != "" {
			row(w, "OPEN", "the manager gives every port full membership of the default partition on it: "+seen.Open)
		}
		for _, p := range seen.Keeps {
			row(w, "keeps", p.Key, fmt.Sprintf("%d full, %d limited", len(p.Full), len(p.Limited)), few(append(p.Full, p.Limited...)))
		}
		for _, p := range seen.Loses {
			if len(p.Full) > 0 {
				row(w, "loses", p.Key, fmt.Sprintf("%d full", len(p.Full)), few(p.Full))
			}
			if len(p.Limited) > 0 {
				row(w, "loses", p.Key, fmt.Sprintf("%d limited beside full, which stays", len(p.Limited)), few(p.Limited))
			}
		}
		for _, note := range seen.Notes {
			row(w, "WARNING", note)
		}
		switch {
		case seen.Taken:
			row(w, "done", "it is ours now")
		case !seen.Ours:
			row(w, "next", "bulkhead drivers takeover "+c.File+" --fabric "+c.Fabric+" --digest "+seen.Digest)
		}
	})
}

// populations says which partitions have the same members.
func populations(found opensm.Found) []string {
	out := []string{}
	for _, keys := range found.Same() {
		names := make([]string, len(keys))
		for i, key := range keys {
			names[i] = fmt.Sprintf("0x%04x", key)
		}
		out = append(out, fmt.Sprintf("%s have the same %d members: one population under %d labels, which separate nobody; they are kept, and one would do",
			strings.Join(names, ", "), len(found.Effect.Members[keys[0]]), len(keys)))
	}
	return out
}

// everybody warns of partitions that have every port of the fabric.
func everybody(guarded *opensm.Guarded, found opensm.Found) (out []string) {
	for _, key := range guarded.Everybody(found) {
		out = append(out, fmt.Sprintf("0x%04x has every port of the fabric as a full member: it separates nobody, and is kept", key))
	}
	return out
}

// byKey puts memberships together, with the names that the site has for ports.
func byKey(s *site.Site, list []opensm.Membership) []partition {
	keys := map[uint16]*partition{}
	for _, m := range list {
		p := keys[m.Key]
		if p == nil {
			p = &partition{Key: fmt.Sprintf("0x%04x", m.Key)}
			keys[m.Key] = p
		}
		name := fmt.Sprintf("0x%016x", m.Port)
		if port, known := s.PortByID(m.Port); known {
			name = s.PortName(port)
		}
		if m.Full {
			p.Full = append(p.Full, name)
		} else {
			p.Limited = append(p.Limited, name)
		}
	}
	out := []partition{}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		out = append(out, *keys[k])
	}
	return out
}

// few lists names, the rest as a number.
func few(names []string) string {
	const most = 6
	text := ""
	for i, n := range names {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(names)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += n
	}
	return text
}
