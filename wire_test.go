package perch_test

import (
	"context"
	"testing"

	"github.com/perch-go/perch"
)

// N-28, N-35, N-36: what Nest's wire has beside the errors of handlers; nest.test.mjs compares it with Nest's own.
func TestNestErrors(t *testing.T) {
	t.Parallel()
	fail := func(_ context.Context, v any) (int, error) {
		if v == true {
			return 0, &perch.Error{Details: 42}
		}
		return 0, perch.Errorf("CODE", "no")
	}
	g := handlers(func(r *perch.Router) {
		perch.On(r, "fail", fail)
		perch.On(r, "point", func(_ context.Context, p point) (point, error) { return p, nil })
		perch.On(r, "dealt with", fail, perch.WithFilters(func(context.Context, *perch.ExecutionContext, error) error { return nil }))
	})
	_, srv := start(t, perch.WithGateways(g), perch.WithErrors(perch.Errors{Nest: true, Delivery: perch.DeliverException, Cause: true}))
	c := join(t, srv, "/")
	for _, tt := range []struct{ send, want string }{
		{`421["fail",1,[2],null]`, `42["exception",{"status":"error","message":"no","cause":{"pattern":"fail","data":[1,[2],null]}}]`},
		{`421["fail",null]`, `42["exception",{"status":"error","message":"no","cause":{"pattern":"fail","data":null}}]`},
		{`421["fail",true]`, `42["exception",{"status":"error","message":42,"cause":{"pattern":"fail","data":true}}]`},
		{`421["fail"]`, `42["exception",{"status":"error","message":"the payload is missing","cause":{"pattern":"fail"}}]`},
		{`421["point",{"x":"y"}]`, `42["exception",{"status":"error","message":"the payload does not fit at x: unexpected string","cause":{"pattern":"point","data":{"x":"y"}}}]`},
	} {
		if got := c.ask(tt.send); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.send, got, tt.want)
		}
	}
	c.send(`421["nobody"]`)
	c.send(`422["dealt with",1]`)
	if got := c.ask(`423["point",{"x":1,"y":2}]`); got != `433[{"x":1,"y":2}]` {
		t.Errorf("an answer too many: %s", got)
	}
}
