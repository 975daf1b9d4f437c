package linux

// taken is something that the leaf's own filter takes, and where from; "": anywhere.
type taken struct{ what, from string }

func (t taken) String() string {
	if t.from == "" {
		return t.what
	}
	return t.what + " from " + t.from
}

// What a filter takes.
const (
	takesAll     = "everything"
	takesUplink  = "the underlay's own packets" // see uplinkForm
	takesBGP     = "BGP"
	takesAnswers = "answers of BGP"
	takesVXLAN   = "VXLAN"
)

// takes is what the leaf's own filter takes, by its rules in force; there is false where
// it is not there.
func (r *shownRules) takes() (all map[taken]bool, there bool) {
	all = map[taken]bool{}
	chains := 0
	for i := range r.chains {
		c := &r.chains[i]
		switch c.key() {
		case chainName{"inet", "bulkhead", "input"}:
			chains++
			for _, rule := range c.rules {
				if m := jumpFrom.FindStringSubmatch(rule); m != nil {
					all[taken{takesUplink, m[1]}] = true
				} else if m := allFrom.FindStringSubmatch(rule); m != nil {
					all[taken{takesAll, m[1]}] = true
				}
			}
		case chainName{"inet", "bulkhead", "uplink"}:
			chains++
			for _, rule := range c.rules {
				if m := fromPeer.FindStringSubmatch(rule); m != nil && m[2] == bgpIn {
					all[taken{takesBGP, m[1]}] = true
				} else if m != nil && m[2] == bgpBack {
					all[taken{takesAnswers, m[1]}] = true
				} else if name := others[rule]; name != "" {
					all[taken{name, ""}] = true
				}
			}
			ranges, _ := uplinkForm(c.rules)
			for _, a := range ranges {
				all[taken{takesVXLAN, a.String()}] = true
			}
		}
	}
	return all, chains == 2
}

// toTake is what the leaf's own filter is to take.
func (c *Config) toTake() map[taken]bool {
	all := map[taken]bool{{takesAll, "lo"}: true}
	for _, name := range others {
		all[taken{name, ""}] = true
	}
	for _, name := range c.Uplinks {
		all[taken{takesUplink, name}] = true
	}
	for _, name := range c.Management {
		all[taken{takesAll, name}] = true
	}
	for _, a := range c.Reflectors {
		all[taken{takesBGP, a.String()}], all[taken{takesAnswers, a.String()}] = true, true
	}
	for _, a := range c.Accept {
		all[taken{takesVXLAN, a.String()}] = true
	}
	return all
}

// differs is what the leaf's own filter takes less or more than it is to. That it is gone,
// and much of what it takes more, is an open underlay as well.
func (r *shownRules) differs(conf *Config) (out []string) {
	is, there := r.takes()
	if !there {
		return nil
	}
	want := conf.toTake()
	for t := range want {
		if !is[t] {
			out = append(out, "the leaf's filter: "+t.String()+" is refused")
		}
	}
	for t := range is {
		if !want[t] {
			out = append(out, "the leaf's filter: "+t.String()+" is taken")
		}
	}
	return out
}
