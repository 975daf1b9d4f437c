//go:build labs

package iblab

import (
	"context"
	"testing"
	"time"
)

func begin(t *testing.T, change ...func(*Options)) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts OpenSM: not in short mode")
	}
	if missing := Missing(); missing != "" {
		t.Skipf("needs %s: apt-get install %s", missing, missing)
	}
	o := Options{Dir: t.TempDir(), Bound: time.Second, Say: func(s string) { t.Log(s) }}
	for _, c := range change {
		c(&o)
	}
	l, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
