package ethnet

import "context"

func (n *Net) startLLDP(context.Context) error   { return nil }
func (n *Net) startAgents(context.Context) error { return nil }
