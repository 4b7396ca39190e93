package nspattern

import (
	"errors"
	"strings"
)

// Pattern is immutable and safe for concurrent use.
type Pattern []segment

// segment is a part of a name between slashes: itself, or a wildcard for one or, if rest is true, all that are left.
type segment struct {
	text string
	wild bool
	rest bool
}

// Parse parses a pattern, whose leading slash may be missing. The error says what is wrong with it, in words that follow its text.
func Parse(text string) (Pattern, error) {
	var p Pattern
	seen := make(map[string]bool)
	parts := strings.Split(strings.TrimPrefix(text, "/"), "/")
	for i, part := range parts {
		if !strings.ContainsAny(part, "{}") {
			p = append(p, segment{text: part})
			continue
		}
		name := strings.TrimSuffix(strings.TrimPrefix(part, "{"), "}")
		if strings.ContainsAny(name, "{}") || len(name)+2 != len(part) {
			return nil, errors.New("a wildcard is a whole segment, such as {id}")
		}
		name, rest := strings.CutSuffix(name, "...")
		switch {
		case name == "" || strings.Contains(name, "."):
			return nil, errors.New("a wildcard needs a name")
		case seen[name]:
			return nil, errors.New("two wildcards are called " + name)
		case rest && i < len(parts)-1:
			return nil, errors.New("nothing may follow {" + name + "...}")
		}
		seen[name] = true
		p = append(p, segment{text: name, wild: true, rest: rest})
	}
	if len(seen) == 0 {
		return nil, errors.New("without a wildcard it is one name, for Server.Of")
	}
	return p, nil
}

// Match reports whether name matches, and what the wildcards stand for. One segment is never empty.
func (p Pattern) Match(name string) (values map[string]string, ok bool) {
	left, ok := strings.CutPrefix(name, "/")
	if !ok {
		return nil, false
	}
	values = make(map[string]string)
	more := true // segments
	for _, s := range p {
		if !more {
			return nil, false
		}
		if s.rest {
			values[s.text] = left
			return values, true
		}
		var part string
		part, left, more = strings.Cut(left, "/")
		switch {
		case s.wild && part != "":
			values[s.text] = part
		case s.wild || part != s.text:
			return nil, false
		}
	}
	return values, !more
}
