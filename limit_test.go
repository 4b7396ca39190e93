package perch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch"
)

// never is a rate at which nothing comes back while a test lasts.
const never = 1e-3

const tooMany = `{"status":"error","code":"RATE_LIMITED","message":"too many events"}`

// rated are handlers of the events x and y that say what they were given.
func rated(options ...perch.HandlerOption) *gateway {
	return handlers(func(r *perch.Router) {
		echo := func(_ context.Context, n int) (int, error) { return n, nil }
		perch.On(r, "x", echo, options...)
		perch.On(r, "y", echo, options...)
	})
}

// A rate is each handler's and each client's own; what is beyond it is told in the ack, or by exception.
func TestRateLimitOfHandler(t *testing.T) {
	t.Parallel()
	app, srv := start(t, perch.WithGateways(rated(perch.WithRateLimit(never, 2))))
	for range 2 {
		c := join(t, srv, "/")
		for _, event := range []string{"x", "y"} {
			c.send(`421["` + event + `",1]`)
			c.send(`422["` + event + `","of another type"]`)
			c.want(`431[1]`, `432[{"status":"error","code":"BAD_PAYLOAD","message":"the payload does not fit: unexpected string"}]`)
			c.send(`423["` + event + `",1]`)
			c.send(`42["` + event + `",1]`)
			c.want(`433[`+tooMany+`]`, `42["exception",`+tooMany+`]`)
		}
	}
	if s := app.Stats()[0]; s.SocketIO.EventsRefused != 8 || s.Engine.Opened != 2 || s.Path != "/socket.io/" || s.Port != 0 {
		t.Errorf("%+v", s)
	}
}

// It comes before the rest of the pipeline, and its refusal goes through the filters.
func TestRateLimitInPipeline(t *testing.T) {
	t.Parallel()
	_, srv := start(t, perch.WithGateways(rated(perch.WithRateLimit(never, 1),
		perch.WithGuards(func(context.Context, *perch.ExecutionContext) error { return perch.ErrForbidden }),
		perch.WithFilters(func(_ context.Context, _ *perch.ExecutionContext, err error) error {
			e := (*perch.Error)(nil)
			if errors.As(err, &e) && e.Code == perch.CodeRateLimited {
				return perch.Errorf(perch.CodeRateLimited, "slowly")
			}
			return err
		}))))
	c := join(t, srv, "/")
	c.send(`421["x",1]`)
	c.send(`422["x",1]`)
	c.want(`431[{"status":"error","code":"FORBIDDEN","message":"Forbidden resource"}]`,
		`432[{"status":"error","code":"RATE_LIMITED","message":"slowly"}]`)
}

// The app's rate counts everything that a client sends, and is told as WithErrors has it; a client that goes on is disconnected.
func TestRateLimitOfApp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors perch.Errors
		want   []string
	}{
		"ack":  {perch.Errors{}, []string{`432[` + tooMany + `]`, `42["exception",` + tooMany + `]`}},
		"both": {perch.Errors{Delivery: perch.DeliverBoth}, []string{`432[` + tooMany + `]`, `42["exception",` + tooMany + `]`, `42["exception",` + tooMany + `]`}},
		"nest": {perch.Errors{Delivery: perch.DeliverException, Nest: true, Cause: true}, []string{
			`42["exception",{"status":"error","message":"too many events","cause":{"pattern":"y","data":1}}]`,
			`42["exception",{"status":"error","message":"too many events","cause":{"pattern":"unknown"}}]`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan perch.Reason, 1)
			g := &hooked{
				gateway:      *rated(),
				onDisconnect: func(_ context.Context, _ *perch.Socket, r perch.Reason) { left <- r },
			}
			_, srv := start(t, perch.WithGateways(g), perch.WithErrors(tt.errors),
				perch.WithRateLimit(never, 2), perch.WithLimits(perch.Limits{MaxExcesses: 3})) // the CONNECT is one
			c := join(t, srv, "/")
			c.want(c.echoed()...)
			c.send(`422["y",1]`)
			c.send(`42["unknown"]`)
			c.want(tt.want...)
			c.send(`423["x",1]`)
			c.want("41")
			if end := c.packet(); !strings.HasPrefix(end, "closed") {
				t.Errorf("not the end but %s", end)
			}
			if r := receive(t, left); r != "rate limited" {
				t.Errorf("left because of %q", r)
			}
		})
	}
}

// echoed sends an event and returns what is to come.
func (c *client) echoed() []string {
	c.send(`421["x",1]`)
	return []string{`431[1]`}
}

// The rate holds in a namespace that is one of a pattern's, and in one that no gateway is in.
func TestRateLimitElsewhere(t *testing.T) {
	t.Parallel()
	g := rated()
	g.options = perch.Options{Namespace: "/room/{id}"}
	_, srv := start(t, perch.WithGateways(g), perch.WithRateLimit(never, 1))
	c := join(t, srv, "/room/1")
	c.send(`42/room/1,1["x",1]`)
	c.want(`43/room/1,1[` + tooMany + `]`)
	c = join(t, srv, "/")
	c.send(`421["x",1]`)
	c.send(`42["x",1]`)
	c.want(`431[`+tooMany+`]`, `42["exception",`+tooMany+`]`)
}

// Strict fills in what no other option sets, whatever their order.
func TestStrict(t *testing.T) {
	t.Parallel()
	joined := make(chan error, 1)
	rooms := make([]string, 1001)
	for i := range rooms {
		rooms[i] = strings.Repeat("r", 1+i)
	}
	for _, tt := range []struct {
		options     []perch.Option
		events      int // fewer than MaxExcesses beyond the rate
		least, most int // of them refused: time goes by, and the CONNECT counts
	}{
		{[]perch.Option{perch.Strict()}, 600, 1, 600 - 199},
		{[]perch.Option{perch.Strict(), perch.WithLimits(perch.Limits{EventRate: perch.Rate{PerSecond: 1, Burst: 2}}),
			perch.WithEngine(perch.EngineOptions{PingInterval: time.Minute})}, 450, 300, 449},
		{[]perch.Option{perch.WithRateLimit(1, 2), perch.Strict()}, 450, 300, 449},
	} {
		g := &hooked{gateway: *rated(), onConnection: func(_ context.Context, s *perch.Socket) error {
			joined <- errors.Join(s.Join(rooms[:1000]...), s.Join(rooms[1000]))
			return nil
		}}
		app, srv := start(t, append(tt.options, perch.WithGateways(g))...)
		c := join(t, srv, "/")
		if err := receive(t, joined); !errors.Is(err, perch.ErrTooManyRooms) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d options: rooms: %v", len(tt.options), err)
		}
		for range tt.events {
			c.send(`421["x",1]`)
		}
		refused := 0
		for range tt.events {
			if got := c.next(); got == `431[`+tooMany+`]` {
				refused++
			}
		}
		if refused < tt.least || refused > tt.most {
			t.Errorf("%d options: %d events of %d were refused", len(tt.options), refused, tt.events)
		}
		if n := app.Stats()[0].SocketIO.EventsRefused; n != uint64(refused) {
			t.Errorf("%d refused, counted %d", refused, n)
		}
	}
}

// Without Strict or a rate nothing is refused.
func TestNoRateByDefault(t *testing.T) {
	t.Parallel()
	app, srv := start(t, perch.WithGateways(rated()))
	c := join(t, srv, "/")
	for range 2000 {
		c.send(`42["unheard of"]`)
	}
	c.want(c.echoed()...)
	if s := app.Stats()[0].SocketIO; s.EventsRefused != 0 {
		t.Errorf("%+v", s)
	}
}

// A rate that makes no sense is a start-up error, with the line of the handler.
func TestRateLimitErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		options []perch.Option
		want    []string
	}{
		"handler": {[]perch.Option{perch.WithGateways(rated(perch.WithRateLimit(-1, 2)))}, []string{"limit_test.go", "WithRateLimit", "choose"}},
		"zero":    {[]perch.Option{perch.WithGateways(rated(perch.WithRateLimit(0, 2)))}, []string{"limit_test.go", "set PerSecond"}},
		"app":     {[]perch.Option{perch.WithGateways(rated()), perch.WithRateLimit(0, 0)}, []string{"perch: WithRateLimit", "set PerSecond"}},
		"limits":  {[]perch.Option{perch.WithGateways(rated()), perch.WithLimits(perch.Limits{MaxRooms: -1})}, []string{"MaxRooms"}},
	} {
		_, err := perch.New(append(tt.options, quiet())...)
		for _, part := range tt.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v does not say %q", name, err, part)
			}
		}
	}
}

// Handlers with a rate allocate no more for it.
func TestRateLimitAllocations(t *testing.T) { // not parallel: it counts those of the process
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	const event, ack = `421["x",1]`, `431[1]`
	plain := allocations(t, serve(t, rated()).URL, event, ack)
	_, srv := start(t, perch.WithGateways(rated(perch.WithRateLimit(1e6, 1e6))), perch.WithRateLimit(1e6, 1e6))
	if got := allocations(t, srv.URL, event, ack); got > plain+0.2 {
		t.Errorf("%.2f allocations for each message, %.2f without", got, plain)
	}
}
