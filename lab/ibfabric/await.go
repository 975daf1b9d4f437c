package ibfabric

import (
	"encoding/binary"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// answerTime is how long a client may take to answer another's request before
// the request is given up.
const answerTime = 3 * time.Second

// awaited is a request that another client has been given and has not answered.
//
// On hardware the kernel gives a request up when its time is over, and tells who
// sent it. The library that stands in for the kernel here has no clock, and
// programs rely on hearing: an OpenSM on standby whose question to the master is
// never given up waits for ever and takes nothing over.
type awaited struct {
	key      exchange
	from, to *client
	message  [dataSize]byte
	timer    *time.Timer
}

// exchange is a request and its answer.
type exchange struct {
	tid  uint64 // with the number of the client that asks in it
	trap bool
}

// exchangeOf names the exchange that a packet belongs to. A trap is ended by a
// TrapRepress, into whose transaction id libumad2sim writes the number of an agent
// of its own, at bits 32 to 47.
func exchangeOf(p *mad.Packet) exchange {
	if m := p.Header().Method; m == mad.Trap || m == mad.TrapRepress {
		return exchange{p.TID() &^ (0xffff << 32), true}
	}
	return exchange{p.TID(), false}
}

// ask gives a request to the client that shall answer it.
func (f *Fabric) ask(from, to *client, b *[dataSize]byte) bool {
	if !f.give(to, b) {
		return false
	}
	p := mad.Packet(b[atMAD:])
	if p.Header().Method == mad.Send {
		return true // nobody answers it
	}
	key := exchangeOf(&p)
	f.answered(key)
	w := &awaited{key: key, from: from, to: to, message: *b}
	w.timer = time.AfterFunc(answerTime, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.awaits[key] == w {
			f.giveUp(w)
		}
	})
	f.awaits[key] = w
	return true
}

// repress gives a TrapRepress to the client whose trap it ends; a manager that
// has sent a trap waits for it, and sweeps no more before. Devices need none.
func (f *Fabric) repress(c *client, b *[dataSize]byte, p *mad.Packet) {
	w := f.awaits[exchangeOf(p)]
	if w == nil || w.to != c {
		return
	}
	if to, _ := f.route(c.at, binary.BigEndian.Uint16(b[atDLID:])); to == nil || to.node != w.from.at.node {
		return
	}
	f.answered(w.key)
	f.give(w.from, b)
}

// answered forgets a request.
func (f *Fabric) answered(key exchange) {
	if w := f.awaits[key]; w != nil {
		w.timer.Stop()
		delete(f.awaits, key)
	}
}

// giveUp tells a client that its request was not answered.
func (f *Fabric) giveUp(w *awaited) {
	f.answered(w.key)
	if f.clients[w.from.id] == w.from {
		binary.BigEndian.PutUint32(w.message[atStatus:], lostStatus)
		f.give(w.from, &w.message)
	}
}

// forget gives up what a client that has gone was asked, and what it asked.
func (f *Fabric) forget(c *client) {
	for _, w := range f.awaits {
		if w.to == c || w.from == c {
			f.giveUp(w)
		}
	}
}
