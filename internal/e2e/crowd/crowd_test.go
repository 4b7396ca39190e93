package crowd

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/plainws"
	"github.com/perch-go/perch/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faults are what the server of a test does wrong.
type faults struct{ forgetsPost, doublesPost, skipsNews, lateJoin bool }

// open serves what visitors expect until the test ends.
func open(t *testing.T, f faults) *Server {
	t.Helper()
	srv, err := socketio.New(socketio.Options{
		Engine: engineio.Options{AllowEIO3: true, Logger: slog.New(slog.DiscardHandler)},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	root := srv.Of("/")
	key := socketio.NewKey[*atomic.Uint64]("posts")
	root.OnConnection(func(_ context.Context, s *socketio.Socket) error {
		key.Set(s, new(atomic.Uint64))
		return nil
	})
	const before, after = 7, 9 // the news that come are 8 and 9
	root.Handle("join", func(_ context.Context, e *socketio.Event) {
		joined := before
		if f.lateJoin {
			joined--
		}
		_ = e.Ack(joined)
		for n := before + 1; n <= after; n++ {
			if f.skipsNews && n == after {
				n++
			}
			_ = e.Socket().Emit("news", n)
		}
	})
	root.Handle("at", func(_ context.Context, e *socketio.Event) { _ = e.Ack(after) })
	root.Handle("post", func(_ context.Context, e *socketio.Event) {
		n := key.Value(e.Socket())
		n.Add(1)
		if n.Load() == 2 && f.forgetsPost {
			n.Store(1)
		}
		if n.Load() == 2 && f.doublesPost {
			n.Store(3)
		}
		_ = e.Ack(n.Load())
	})
	plain, err := plainws.At("/ws").Handler(srv, func(*http.Request) string { return "/" })
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.Handle("/ws", plain)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return &Server{Addr: web.Listener.Addr().String(), Stay: 100 * time.Millisecond, Pause: 20 * time.Millisecond, Burst: 10}
}

// Who behaves is content with a server that does, and tells what one does that does not.
func TestPolite(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		faults
		stay time.Duration
		want string
	}{
		"well":           {faults{}, 200 * time.Millisecond, ""},
		"a post is lost": {faults{forgetsPost: true}, time.Hour, "post 2 was the server's number 1"},
		"a post twice":   {faults{doublesPost: true}, time.Hour, "post 2 was the server's number 3"},
		"news are lost":  {faults{skipsNews: true}, 200 * time.Millisecond, "news 10 came after 8"},
		"the first one":  {faults{lateJoin: true}, 200 * time.Millisecond, "joined at 6 and got 8 as the first news"},
	} {
		for _, k := range Polite {
			t.Run(name+"/"+k.Name, func(t *testing.T) {
				t.Parallel()
				s := open(t, tt.faults)
				s.Stay = tt.stay
				k.Visit(t.Context(), s, rand.New(rand.NewPCG(1, 2)))
				n, first := s.Problems()
				if got := strings.Join(first, "; "); n > 0 != (tt.want != "") || !strings.Contains(got, tt.want) {
					t.Errorf("%q, want %q", got, tt.want)
				}
				if all, most := s.Connections(); all == 0 || most == 0 || s.open.Load() != 0 {
					t.Errorf("%d connections, at most %d, %d are open", all, most, s.open.Load())
				}
			})
		}
	}
}

// Who does not behave has no problems, leaves nothing open, and does so when it is told to.
func TestImpolite(t *testing.T) {
	t.Parallel()
	for _, k := range append(append([]Kind{}, Rude...), Hostile...) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := open(t, faults{})
			for seed := range uint64(6) {
				k.Visit(t.Context(), s, rand.New(rand.NewPCG(seed, 0)))
			}
			s.Stay = time.Hour
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			before, _ := s.Connections()
			go leaveSoon(ctx, cancel, s, before)
			k.Visit(ctx, s, rand.New(rand.NewPCG(1, 1)))
			if n, first := s.Problems(); n > 0 {
				t.Error(first)
			}
			if s.open.Load() != 0 {
				t.Errorf("%d connections are open", s.open.Load())
			}
			if all, _ := s.Connections(); all < 7 {
				t.Errorf("only %d connections", all)
			}
		})
	}
}

// leaveSoon ends a visit that would stay 50 ms after it has connected, however long that takes on a busy machine.
func leaveSoon(ctx context.Context, leave func(), s *Server, before uint64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for all, _ := s.Connections(); all == before; all, _ = s.Connections() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	time.AfterFunc(50*time.Millisecond, leave)
}

// The same seed has the same clients.
func TestSeed(t *testing.T) {
	t.Parallel()
	seen := func(seed uint64) (all []string) {
		s := &Server{Addr: "127.0.0.1:1", Stay: time.Hour}
		rng := rand.New(rand.NewPCG(seed, 0))
		for range 5 {
			Kind{"", func(v *visitor) error {
				all = append(all, fmt.Sprint(v.choice, v.room, v.from, v.stay, v.rng.Uint64()))
				return nil
			}}.Visit(t.Context(), s, rng)
		}
		return all
	}
	if a, b := fmt.Sprint(seen(1)), fmt.Sprint(seen(1)); a != b || a == fmt.Sprint(seen(2)) {
		t.Errorf("%s and %s", a, b)
	}
}
