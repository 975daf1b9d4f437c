package collector

// Sessions returns the state of each reflector's session, in the order of the
// configuration.
func (k *Collector) Sessions() []Session {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]Session, 0, len(k.sessions))
	for _, r := range k.config.Reflectors {
		s := k.sessions[r.Address]
		s.Routes = len(s.feed.at)
		out = append(out, s.Session)
	}
	return out
}
