package nspattern

import (
	"fmt"
	"testing"
)

func parse(t testing.TB, text string) Pattern {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ pattern, name, want string }{
		{"/room/{id}", "/room/7", "map[id:7]"},
		{"room/{id}", "/room/ä b", "map[id:ä b]"},
		{"/room/{id}", "/room/7/", ""},
		{"/room/{id}", "/room/", ""},
		{"/room/{id}", "/room", ""},
		{"/room/{id}", "/rooms/7", ""},
		{"/room/{id}", "room/7", ""},
		{"/{a}/x/{b}", "/1/x/2", "map[a:1 b:2]"},
		{"/{a}/x/{b}", "/1/y/2", ""},
		{"/files/{path...}", "/files/a/b", "map[path:a/b]"},
		{"/files/{path...}", "/files/", "map[path:]"},
		{"/files/{path...}", "/files", ""},
		{"/{all...}", "/x/y", "map[all:x/y]"},
	} {
		got := ""
		if values, ok := parse(t, tt.pattern).Match(tt.name); ok {
			got = fmt.Sprint(values)
		}
		if got != tt.want {
			t.Errorf("%s of %s: %s, want %s", tt.name, tt.pattern, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "/", "/room", "/a{id}", "/{id}a", "/{id", "/id}", "/{}", "/{...}", "/{a}/{a}", "/{a...}/b", "/{{a}}", "/{a.b}"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

var related = []struct {
	p, q string
	want Relation
}{
	{"/room/{id}", "/room/{name}", Same},
	{"/{a}/{b...}", "/{x}/{y...}", Same},
	{"/room/{id}", "/user/{id}", Disjoint},
	{"/room/{id}", "/room/{id}/x", Disjoint},
	{"/room/{id}", "/room/{id}/{more}", Disjoint},
	{"/room/{id}/", "/room/{id}/{more}", Disjoint},
	{"/{a}/{b...}", "/{a}", Disjoint},
	{"/room/{id}", "/{kind}/{id}", Narrower},
	{"/room/{id}/", "/room/{id}/{more...}", Narrower},
	{"/room/{id}", "/room/{rest...}", Narrower},
	{"/room/{id}/{rest...}", "/room/{rest...}", Narrower},
	{"/room/{id}", "/{rest...}", Narrower},
	{"/room/{id}", "/{kind}/42", Crossing},
	{"/room/{rest...}", "/{kind}/{id}", Crossing},
	{"/{a}/x/{b}", "/y/{a}/{b}", Crossing},
}

func TestCompare(t *testing.T) {
	t.Parallel()
	turned := map[Relation]Relation{Narrower: Wider}
	for _, tt := range related {
		if got := Compare(parse(t, tt.p), parse(t, tt.q)); got != tt.want {
			t.Errorf("%s, %s: %d, want %d", tt.p, tt.q, got, tt.want)
		}
		want := tt.want
		if w, ok := turned[want]; ok {
			want = w
		}
		if got := Compare(parse(t, tt.q), parse(t, tt.p)); got != want {
			t.Errorf("%s, %s: %d, want %d", tt.q, tt.p, got, want)
		}
	}
}

// What Compare says is true of names.
func FuzzCompare(f *testing.F) {
	for _, r := range related {
		for _, name := range []string{"/room/42", "/room/", "/user/42/x", "/y/x/z"} {
			f.Add(r.p, r.q, name)
		}
	}
	f.Fuzz(func(t *testing.T, a, b, name string) {
		p, err := Parse(a)
		if err != nil {
			return
		}
		q, err := Parse(b)
		if err != nil {
			return
		}
		_, inP := p.Match(name)
		_, inQ := q.Match(name)
		switch r := Compare(p, q); {
		case r == Disjoint && inP && inQ, r == Same && inP != inQ, r == Narrower && inP && !inQ, r == Wider && inQ && !inP:
			t.Errorf("%q and %q are related by %d, but %q is in them: %t, %t", a, b, r, name, inP, inQ)
		}
	})
}
