package sim

import (
	"runtime"
	"sync"
	"time"

	"bulkhead/node"
	"bulkhead/node/agent"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// Evidence is not kept: it follows from the step, the node and the seed, and is
// made when somebody asks for it. 50,000 nodes' would be 300 MB.

// burnIn is how long the acceptance run before a TPM quote takes.
const burnIn = 12 * time.Minute

// testify fills in the evidence of reports, in parallel.
func (s *Sim) testify(reports []node.Report, records []record) error {
	workers := min(runtime.GOMAXPROCS(0), len(reports))
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < len(reports); i += workers {
				r := records[i].run
				if r == nil || r.error != "" {
					continue
				}
				raw, err := s.evidence(records[i].node, r)
				if err != nil {
					errs[w] = err
					return
				}
				reports[i].Raw = raw
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// evidence is what a node reports for a step that succeeded, by its own word.
// Cost: about 100 µs, half of it the TPM's key and signature.
func (s *Sim) evidence(n site.Index, r *run) ([]byte, error) {
	var e node.Evidence
	devices := s.nodes.inventory.devices(n)
	switch r.kind {
	case node.StepCommission, node.StepSanitize:
		e.Receipts = s.receipts(n, r, devices)
	}
	switch r.kind {
	case node.StepCommission, node.StepAttest:
		key, err := site.AttestationPrivateKey(s.site.Seed, s.site.NodeID[n])
		if err != nil {
			return nil, err
		}
		var receipts []wipe.SanitizeReceipt
		if r.wiped != nil {
			receipts = e.Receipts
			if r.wiped != r {
				receipts = s.receipts(n, r.wiped, devices)
			}
		}
		if e.Quote, err = agent.Attest(key, r.nonce, devices, receipts, r.resets, r.end); err != nil {
			return nil, err
		}
		draws := s.draw(drawBurnIn, uint64(n), hashID(r.id))
		e.BurnIn = &node.BurnIn{GPUs: s.site.RailsOf(n), Minutes: int(burnIn / time.Minute), GBps: float64(4200+draws.below(200)) / 10}
	}
	return e.MarshalJSON()
}

// receipts are those of a wipe. All devices begin when the step does. Where a
// burn-in follows in the same step, it gets its time.
func (s *Sim) receipts(n site.Index, r *run, devices []site.Device) []wipe.SanitizeReceipt {
	draws := s.draw(drawWipe, uint64(n), hashID(r.id))
	window := r.end.Sub(r.start)
	if r.kind == node.StepCommission {
		window -= burnIn + time.Minute
	}
	dirty := -1
	if r.liar {
		dirty = draws.below(len(devices))
		for i := range devices { // a drive, where there is one
			if devices[i].Class == site.ClassNVMe {
				dirty = i + draws.below(8)%max(1, countClass(devices, site.ClassNVMe))
				break
			}
		}
	}
	pass := agent.Run{Nonce: r.nonce, Start: r.start,
		Takes: func(int) time.Duration { return draws.between(0.2, 0.9, max(window, 0)) },
		Dirty: func(i int) bool { return i == dirty }}
	return pass.Wipe(devices)
}

func countClass(devices []site.Device, class string) int {
	count := 0
	for i := range devices {
		if devices[i].Class == class {
			count++
		}
	}
	return count
}
