package ethnet

import (
	"context"
	"path/filepath"
)

func (n *Net) lldpSocket(at string) string { return filepath.Join(n.Dir, at, "lldpd.sock") }

func (n *Net) startLLDP(context.Context) error { return nil }
