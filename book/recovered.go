package book

import (
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/lineage"
	"bulkhead/node"
	"bulkhead/site"
)

// KindExplained is the entry kind that ends a recovery, in the site's scope.
const KindExplained = "ledger.explained/1"

// lostTerms is room for the terms of writers that began after the last checkpoint
// was published: nothing says how many there were.
const lostTerms = 1 << 16

func (s *State) applyRecovered(e *ledger.Entry, b ledger.Recovered, _ Bodies) error {
	s.Control.Recovering = true
	// Devices have seen the terms of the writers whose entries are lost, and each
	// wrote an entry at least: the next one must be newer than all of them.
	s.Term += lostTerms
	if known := max(b.PublishedSize, b.AcknowledgedSize); known > b.HeadSize {
		s.Term += known - b.HeadSize
	}
	return nil
}

// applyTakenOver: the other copy may have gone on after this one was made, so what
// devices hold is explained first, as when entries are lost; and its terms are not known.
func (s *State) applyTakenOver(e *ledger.Entry, b ledger.TakenOver, _ Bodies) error {
	if err := b.Check(); err != nil {
		return err
	}
	s.Control.Recovering = true
	s.Control.Lineage = lineage.Lineage{Epoch: b.Epoch, ID: b.Lineage}
	s.Term += lostTerms
	return nil
}

// Explain ends a recovery. Nodes are those of which a port does not read back as
// what is left of the ledger wants, or can't be read: what happened to them is in
// the entries that were lost. A node that was clean may have been somebody's
// since, so it is quarantined, and wiped before anybody gets it.
type Explain struct{ Nodes []site.Index }

// Explained is the body of KindExplained.
type Explained struct {
	Quarantined string `json:"quarantined"` // set of dense indexes
}

func (c Explain) decide(s *State, env Env) (*Decision, error) {
	if !s.Control.Recovering {
		return nil, ErrNothing
	}
	m, d := s.newMover(), &Decision{}
	moved := site.NewSet(0)
	for _, n := range c.Nodes {
		from := s.Nodes.State[n]
		// Discovered nodes are wiped before anybody gets them, those in repair
		// afterwards; a delivered one that reads otherwise has drifted.
		if from == node.Discovered || from == node.Repair || !node.Allowed(from, node.Quarantined) {
			continue
		}
		m.move(n, from, node.Quarantined, 0, claim.Digest{}, "the ledger was recovered and does not explain what this node's ports carry")
		moved.Add(n)
	}
	m.write(d)
	d.add(SiteScope, KindExplained, Explained{Quarantined: moved.String()})
	return d, nil
}

func (s *State) applyExplained(e *ledger.Entry, b Explained, _ Bodies) error {
	s.Control.Recovering = false
	return nil
}

// applySetAside is the fold of a ledger whose end was set aside because a clock had
// dated it in the future. What devices hold follows from entries that are gone, as
// after a recovery.
func (s *State) applySetAside(e *ledger.Entry, b ledger.SetAside, _ Bodies) error {
	s.Control.Recovering = true
	s.Term = max(s.Term, b.Term)
	return nil
}

// applyTakenOff changes nothing: it is for the tenant to see.
func (s *State) applyTakenOff(e *ledger.Entry, b ledger.TakenOff, _ Bodies) error { return nil }
