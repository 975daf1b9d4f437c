package kueue

import (
	"errors"

	"sigs.k8s.io/kueue/pkg/features"
)

// LeastFree is Kueue with its profile of least free capacity (the feature gate
// TASProfileLeastFreeCapacity, deprecated since 0.11), which fills what is fullest;
// the default takes the best fit for what wants to be close together. The gate is
// the whole process's: no other Kueue decides between NewLeastFree and Close.
type LeastFree struct{ *Kueue }

// NewLeastFree opens the gate.
func NewLeastFree(k *Kueue) (LeastFree, error) {
	return LeastFree{k}, features.SetEnable(features.TASProfileLeastFreeCapacity, true)
}

// Name is what it is called in the report.
func (k LeastFree) Name() string { return "Kueue, least free capacity" }

// Close shuts the gate.
func (k LeastFree) Close() error {
	return errors.Join(features.SetEnable(features.TASProfileLeastFreeCapacity, false), k.Kueue.Close())
}
