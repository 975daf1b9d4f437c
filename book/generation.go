package book

// IfUnmoved carries out a command about a node if the node is still at the
// generation that whoever gave the command had seen: its number of moves. What
// was decided of a node that has moved on since is refused.
type IfUnmoved struct {
	Node       string
	Generation uint64
	Command    Command
}

func (c IfUnmoved) decide(s *State, env Env) (*Decision, error) {
	n, err := s.nodeByID(c.Node)
	if err != nil {
		return nil, refuse("node", "%v", err)
	}
	if is := uint64(s.Nodes.Seq[n]); is != c.Generation {
		return nil, refuse("if_generation", "%s is at generation %d, this was meant for generation %d: look at it again", c.Node, is, c.Generation)
	}
	return c.Command.decide(s, env)
}
