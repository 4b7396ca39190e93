package plainws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/perch-go/perch"
)

// Wherever clients of Socket.IO are told of errors, a plain one is told by the event "exception", with the id of what went wrong.
func TestWithErrors(t *testing.T) {
	t.Parallel()
	full := `{"status":"error","code":"NO","message":"no."`
	for name, c := range map[string]struct {
		errors perch.Errors
		want   string // of a failure with details
		bare   string // without, of an event with two arguments
	}{
		"default":        {perch.Errors{}, full + `,"details":{"n":1}}`, full + `}`},
		"exception":      {perch.Errors{Delivery: perch.DeliverException}, full + `,"details":{"n":1}}`, full + `}`},
		"both":           {perch.Errors{Delivery: perch.DeliverBoth}, full + `,"details":{"n":1}}`, full + `}`},
		"Nest":           {perch.Errors{Delivery: perch.DeliverException, Nest: true}, `{"n":1}`, `{"status":"error","message":"no."}`},
		"with the cause": {perch.Errors{Cause: true}, full + `,"details":{"n":1},"cause":{"pattern":"fail"}}`, full + `,"cause":{"pattern":"bare","data":[1,2]}}`},
		"Nest as it is":  {perch.Errors{Delivery: perch.DeliverException, Nest: true, Cause: true}, `{"n":1}`, `{"status":"error","message":"no.","cause":{"pattern":"bare","data":[1,2]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, _ := serve(t, &gateway{register: func(r *perch.Router) {
				handlers(r)
				perch.On2(r, "bare", func(context.Context, int, int) (int, error) { return 0, perch.Errorf("NO", "no.") })
			}}, perch.WithErrors(c.errors))
			p := dial(t, srv, "/ws", nil)
			p.send(`{"event":"fail","id":"1"}`)
			p.expect(`{"id":"1","event":"exception","data":` + c.want + `}`)
			p.send(`{"event":"fail"}`)
			p.expect(`{"event":"exception","data":` + c.want + `}`)
			p.send(`{"event":"bare","data":[1,2],"id":2}`)
			p.expect(`{"id":2,"event":"exception","data":` + c.bare + `}`)
			p.send(`{"event":"void","id":3}`)
			p.expect(`{"id":3}`)
		})
	}
}

// A listener for all events answers none, and its error takes nothing from those who do.
func TestOnAny(t *testing.T) {
	t.Parallel()
	for _, delivery := range []perch.Delivery{perch.DeliverAck, perch.DeliverException, perch.DeliverBoth} {
		srv, _ := serve(t, &gateway{register: func(r *perch.Router) {
			handlers(r)
			perch.OnAny(r, func(_ context.Context, ec *perch.ExecutionContext) error {
				return perch.Errorf("ANY", "%s %d %s", ec.Event(), ec.NumArgs(), ec.Raw(0))
			})
		}}, perch.WithErrors(perch.Errors{Delivery: delivery}))
		p := dial(t, srv, "/ws", nil)
		p.send(`{"event":"sum","data":[1, 2],"id":"1"}`)
		p.expect(`{"event":"exception","data":{"status":"error","code":"ANY","message":"sum 1 [1, 2]"}}`)
		p.expect(`{"id":"1","data":3}`)
		p.send(`{"event":"fail","id":2}`)
		p.expect(`{"event":"exception","data":{"status":"error","code":"ANY","message":"fail 0 "}}`)
		p.expect(`{"id":2,"event":"exception","data":{"status":"error","code":"NO","message":"no.","details":{"n":1}}}`)
	}
}

// Each handler of an event sees it as it came, whatever those before it have made of it, and so does what surrounds them.
func TestSeveralHandlers(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 20)
	note := func(what string, ec *perch.ExecutionContext) {
		seen <- fmt.Sprintf("%s %d %s %s", what, ec.NumArgs(), ec.Raw(0), ec.Raw(1))
	}
	srv, _ := serve(t, &gateway{register: func(r *perch.Router) {
		r.UseInterceptors(func(ctx context.Context, ec *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
			note("before", ec)
			v, err := next(ctx)
			if err != nil { // again
				v, err = next(ctx)
			}
			note("after", ec)
			return v, err
		})
		perch.On2(r, "x", func(_ context.Context, a json.RawMessage, b int) (string, error) {
			seen <- fmt.Sprintf("On2 %s %d", a, b)
			return "On2", nil
		})
		perch.OnRaw(r, "x", func(_ context.Context, ec *perch.ExecutionContext) (any, error) {
			note("OnRaw", ec)
			return nil, nil
		})
		perch.On(r, "x", func(_ context.Context, v []any) (string, error) {
			seen <- fmt.Sprint("On ", v)
			return "On", nil
		})
		perch.On3(r, "y", func(_ context.Context, a, b, c int) (int, error) { return a + b + c, nil })
		perch.On2(r, "z", func(_ context.Context, a, b int) (int, error) { return a * b, nil })
	}})
	p := dial(t, srv, "/ws", nil)
	p.send(`{"event":"x","data":[{"a":1},2],"id":1}`)
	p.expect(`{"id":1,"data":"On2"}`)
	whole := ` 1 [{"a":1},2] `
	for _, want := range []string{"before" + whole, `On2 {"a":1} 2`, "after" + whole, "before" + whole, "OnRaw" + whole, "after" + whole, "before" + whole, "On [map[a:1] 2]", "after" + whole} {
		if got := next(t, seen); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	p.send(`{"event":"y","data":[1,2,3],"id":2}`)
	p.expect(`{"id":2,"data":6}`)
	for _, data := range []string{`[[1,2]]`, `[[[1,2]]]`} { // the second try of the interceptor is the first one's
		p.send(`{"event":"z","data":` + data + `,"id":3}`)
		p.expect(`{"id":3,"event":"exception","data":{"status":"error","code":"BAD_PAYLOAD","message":"2 arguments are wanted, there are 1"}}`)
	}
	p.send(`{"event":"z","data":[7,"six"],"id":4}`)
	p.expect(`{"id":4,"event":"exception","data":{"status":"error","code":"BAD_PAYLOAD","message":"argument 2: the payload does not fit: unexpected string"}}`)
}

// Guards, pipes and filters know no platforms.
func TestStages(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, &gateway{register: func(r *perch.Router) {
		r.UseGuards(func(_ context.Context, ec *perch.ExecutionContext) error {
			if ec.Event() == "secret" {
				return perch.ErrForbidden
			}
			return nil
		})
		r.UsePipes(perch.PipeFor(func(_ context.Context, v *item) error {
			v.ID++
			return nil
		}))
		handlers(r)
		perch.OnEvent(r, "secret", func(context.Context, perch.None) error { return nil })
		handled := perch.WithFilters(func(_ context.Context, ec *perch.ExecutionContext, err error) error {
			return ec.Socket().Emit("filtered", err.Error())
		})
		perch.OnEvent(r, "filtered", func(context.Context, perch.None) error { return errors.New("mine") }, handled)
	}})
	p := dial(t, srv, "/ws", nil)
	p.send(`{"event":"secret","id":1}`)
	p.expect(`{"id":1,"event":"exception","data":{"status":"error","code":"FORBIDDEN","message":"Forbidden resource"}}`)
	p.send(`{"event":"item","data":{"id":1},"id":2}`)
	p.expect(`{"id":2,"data":{"id":2}}`)
	p.send(`{"event":"filtered","id":3}`)
	p.expect(`{"event":"filtered","data":"mine"}`)
	p.expect(`{"id":3}`)
}
