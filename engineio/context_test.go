package engineio

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

type contextKey struct{}

// wrappedContext is somebody's own type of context.
type wrappedContext struct{ context.Context }

func (c wrappedContext) Value(key any) any {
	if key == (contextKey{}) {
		return "own"
	}
	return c.Context.Value(key)
}

// Engine rule 12: a handler's context carries the values of the request's, whoever has put them there, and no
// cancellation. Of the one that net/http makes no more is kept than they are.
func TestHandshakeContext(t *testing.T) {
	t.Parallel()
	with := func(ctx context.Context, v string) context.Context { return context.WithValue(ctx, contextKey{}, v) }
	tests := []struct {
		name      string
		configure func(*http.Server)
		wrap      func(context.Context) context.Context
		want      any
		bare      bool
	}{
		{name: "net/http's own", bare: true},
		{name: "ConnContext", want: "conn", configure: func(s *http.Server) {
			s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return with(ctx, "conn") }
		}},
		{name: "BaseContext", want: "base", configure: func(s *http.Server) {
			s.BaseContext = func(net.Listener) context.Context { return with(context.Background(), "base") }
		}},
		{name: "a value", want: "v", wrap: func(ctx context.Context) context.Context { return with(ctx, "v") }},
		{name: "a value below a cancellation", want: "v", wrap: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(with(ctx, "v"))
			context.AfterFunc(ctx, cancel)
			return ctx
		}},
		{name: "a type of its own", want: "own", wrap: func(ctx context.Context) context.Context { return wrappedContext{ctx} }},
		{name: "a type of its own below two cancellations", want: "own", wrap: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(wrappedContext{ctx})
			context.AfterFunc(ctx, cancel)
			ctx, cancel = context.WithCancel(ctx)
			context.AfterFunc(ctx, cancel)
			return ctx
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kept := make(chan *Handshake, 1)
			ts := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if tt.wrap != nil {
					r = r.WithContext(tt.wrap(r.Context()))
				}
				kept <- NewHandshake(r)
				var last atomic.Pointer[bareContext]
				if tt.bare && keep(r.Context(), &last) != keep(r.Context(), &last) {
					t.Error("not shared")
				}
			}))
			if tt.configure != nil {
				tt.configure(ts.Config)
			}
			ts.Start()
			resp, err := ts.Client().Get(ts.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			ts.Close()
			ctx := (<-kept).Context()
			if got := ctx.Value(contextKey{}); got != tt.want {
				t.Errorf("value %v, want %v", got, tt.want)
			}
			if ctx.Value(http.ServerContextKey) != ts.Config {
				t.Error("the server is not in it")
			}
			if addr, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr); addr == nil || addr.String() != ts.Listener.Addr().String() {
				t.Errorf("local address %v", addr)
			}
			if ctx.Err() != nil || ctx.Done() != nil {
				t.Error("it is cancelled, or can be")
			}
			if _, bare := ctx.(*bareContext); bare != tt.bare {
				t.Errorf("kept alone: %v, want %v", bare, tt.bare)
			}
		})
	}
}
