package prove

// Without takes a check away and judges every port again. It is a mutation: tests
// show by it that each check is needed, and nothing else may call it (package house).
func (p *Prover) Without(c Check) {
	p.enabled &^= 1 << c
	p.Sweep()
}
