package nspattern

// Relation is a plain value: what two patterns have to do with each other.
type Relation int

const (
	// Disjoint patterns have no name in common.
	Disjoint Relation = iota
	// Narrower is the first if it matches some of the names that the second does, and no others.
	Narrower
	// Wider is the first if the second is narrower.
	Wider
	// Same patterns match the same names.
	Same
	// Crossing patterns have names in common, and each has others.
	Crossing
)

// Compare says what p has to do with q.
func Compare(p, q Pattern) Relation {
	var narrower, wider bool // somewhere
	for i := 0; ; i++ {
		if i == len(p) || i == len(q) {
			if len(p) != len(q) { // {rest...} stands for what follows a slash
				return Disjoint
			}
			break
		}
		a, b := p[i], q[i]
		if a.rest || b.rest {
			narrower, wider = narrower || !a.rest, wider || !b.rest
			break
		}
		switch {
		case a.wild && b.wild:
		case a.wild:
			wider = true
		case b.wild:
			narrower = true
		}
		if !a.matches(b) {
			return Disjoint
		}
	}
	switch {
	case narrower && wider:
		return Crossing
	case narrower:
		return Narrower
	case wider:
		return Wider
	}
	return Same
}

// matches reports whether there is a part of a name that both stand for.
func (s segment) matches(t segment) bool {
	switch {
	case s.wild && t.wild:
		return true
	case s.wild:
		return t.text != ""
	case t.wild:
		return s.text != ""
	}
	return s.text == t.text
}
