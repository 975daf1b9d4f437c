package book

// Kinds lists the entry kinds that Apply folds.
func Kinds() []string {
	kinds := make([]string, 0, len(folds))
	for kind := range folds {
		kinds = append(kinds, kind)
	}
	return kinds
}

// Empty says whether there is nothing to do.
func (p *Plan) Empty() bool {
	return len(p.Lockdowns)+len(p.Ports)+len(p.Steps)+len(p.Volumes)+len(p.Guards)+len(p.Fences)+len(p.Commands) == 0
}
