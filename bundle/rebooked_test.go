package bundle_test

import (
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
)

// TestRebookedAfterItBegan: a lease that runs, or is being made ready, is not
// placed again, whatever the owner's log says.
func TestRebookedAfterItBegan(t *testing.T) {
	for name, tell := range map[string]func(s *bundletest.Story){
		"made ready": func(s *bundletest.Story) {
			was := s.Slots
			s.Rebook(s.Slots[0], s.Spare())
			s.Slots = was
		},
		"begun": func(s *bundletest.Story) {
			s.Until(s.Contract.Begin)
			s.Deliver(s.Slots...)
			s.Wait(time.Hour)
			was := s.Slots
			s.Rebook(s.Slots[0], s.Spare())
			s.Slots = was
		},
		"with another number of nodes": func(s *bundletest.Story) {
			was := s.Slots
			s.Rebook(s.Spare())
			s.Slots = was
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := bundletest.NewStory(owner, 2, 1)
			s.Until(s.Contract.Begin.Add(-24 * time.Hour))
			s.Reserve(s.Slots...)
			tell(s)
			report, err := verify(write(t, s.Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
			if err == nil || report == nil || report.RejectedBy[bundle.CheckBound] == 0 {
				t.Fatalf("accepted, or rejected for another reason: %v", err)
			}
		})
	}
}
