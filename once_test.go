package perch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch"
)

// itself is the key of events that are their own key.
func itself(_ context.Context, s string) string { return s }

// numbered is a handler whose answers tell its runs apart.
func numbered(runs *int) func(context.Context, string) (string, error) {
	return func(_ context.Context, s string) (string, error) {
		*runs++
		return fmt.Sprint(s, *runs), nil
	}
}

// C-17: what was answered is not run again, within the bounds; what failed is.
func TestOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 1000)
	tests := []struct {
		name    string
		options perch.OnceOptions
		events  []string // an event "!x" fails with the key x, "?x" panics with it, "" has none
		want    []string
	}{
		{"seen before", perch.OnceOptions{}, []string{"a", "b", "a", "a"}, []string{"a1", "b2", "a1", "a1"}},
		{"no key", perch.OnceOptions{}, []string{"", ""}, []string{"1", "2"}},
		{"long keys", perch.OnceOptions{}, []string{long + "a", long + "b", long + "a"}, []string{long + "a1", long + "b2", long + "a1"}},
		{"an error is not remembered", perch.OnceOptions{}, []string{"!a", "!a", "a", "!a"}, []string{"error 1", "error 2", "a3", "a3"}},
		{"nor is a panic", perch.OnceOptions{}, []string{"?a", "?a", "a", "?a"}, []string{"panic 1", "panic 2", "a3", "a3"}},
		{"the oldest is forgotten", perch.OnceOptions{MaxKeys: 2}, []string{"a", "b", "a", "c", "b", "c", "a", "b"},
			[]string{"a1", "b2", "a1", "c3", "b2", "c3", "a4", "b5"}},
		{"one key", perch.OnceOptions{MaxKeys: 1}, []string{"a", "a", "b", "b", "a"}, []string{"a1", "a1", "b2", "b2", "a3"}},
		{"bounds below zero are the defaults", perch.OnceOptions{MaxKeys: -1, MaxAge: -1}, []string{"a", "b", "a"}, []string{"a1", "b2", "a1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			runs := 0
			key := func(_ context.Context, s string) string { return strings.TrimLeft(s, "!?") }
			once := perch.Once(tt.options, key, func(ctx context.Context, s string) (string, error) {
				out, err := numbered(&runs)(ctx, s)
				switch {
				case strings.HasPrefix(s, "!"):
					return out, fmt.Errorf("error %d", runs)
				case strings.HasPrefix(s, "?"):
					panic(fmt.Sprintf("panic %d", runs))
				}
				return out, err
			})
			call := func(s string) (got string) {
				defer func() {
					if v := recover(); v != nil {
						got = v.(string)
					}
				}()
				got, err := once(t.Context(), s)
				if err != nil {
					return err.Error()
				}
				return got
			}
			for i, event := range tt.events {
				if got := call(event); got != tt.want[i] {
					t.Errorf("event %d, %q: got %q, want %q", i+1, event, got, tt.want[i])
				}
			}
		})
	}
}

// Ten thousand answers are remembered by default.
func TestOnceDefaultBound(t *testing.T) {
	t.Parallel()
	runs := 0
	once := perch.Once(perch.OnceOptions{}, itself, numbered(&runs))
	for i := range 10_001 {
		_, _ = once(t.Context(), strconv.Itoa(i))
	}
	if got, _ := once(t.Context(), "1"); got != "12" {
		t.Errorf("the second key of 10,001 is answered %q", got)
	}
	if got, _ := once(t.Context(), "0"); got != "010002" {
		t.Errorf("the first key of 10,001 is answered %q", got)
	}
}

// Answers age, each by itself, ten minutes by default.
func TestOnceAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ set, age time.Duration }{{0, 10 * time.Minute}, {time.Second, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			runs := 0
			once := perch.Once(perch.OnceOptions{MaxAge: tt.set}, itself, numbered(&runs))
			expect := func(key, want string) {
				t.Helper()
				if got, err := once(t.Context(), key); got != want || err != nil {
					t.Errorf("%v: %s is answered %q, %v, want %q", tt.age, key, got, err, want)
				}
			}
			expect("a", "a1")
			time.Sleep(tt.age / 2)
			expect("b", "b2")
			time.Sleep(tt.age/2 - 1)
			expect("a", "a1") // which does not make it younger
			time.Sleep(time.Nanosecond)
			expect("a", "a3")
			expect("b", "b2")
			time.Sleep(tt.age / 2)
			expect("b", "b4")
			expect("a", "a3")
		})
	}
}

// Age is counted from the answer, however long the handler took for it.
func TestOnceSlowHandlerIsNotTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		once := perch.Once(perch.OnceOptions{MaxAge: time.Second}, itself, func(ctx context.Context, s string) (string, error) {
			time.Sleep(time.Minute)
			return numbered(&runs)(ctx, s)
		})
		for range 3 {
			if got, _ := once(t.Context(), "a"); got != "a1" {
				t.Errorf("got %q", got)
			}
		}
	})
}

// Duplicates wait for the one that runs: they get its answer; if it fails, or panics, one of them is next; and who cannot
// wait any longer gets its context's reason.
func TestOnceWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		ends := make(chan func() (string, error))
		once := perch.Once(perch.OnceOptions{MaxKeys: 1}, itself, func(context.Context, string) (string, error) {
			runs.Add(1)
			return (<-ends)()
		})
		type result struct {
			out string
			err error
		}
		results := make(chan result, 10)
		start := func(ctx context.Context) {
			go func() {
				defer func() {
					if v := recover(); v != nil {
						results <- result{"panic", nil}
					}
				}()
				out, err := once(ctx, "a")
				results <- result{out, err}
			}()
			synctest.Wait()
		}
		still := func(want int32) {
			t.Helper()
			synctest.Wait()
			if got := runs.Load(); got != want || len(results) != 0 {
				t.Fatalf("%d runs, %d results, want %d and 0", got, len(results), want)
			}
		}
		enough := errors.New("enough")
		impatient, leave := context.WithCancelCause(t.Context())

		start(t.Context())
		for range 3 {
			start(t.Context())
		}
		start(impatient)
		still(1)
		leave(enough)
		if r := <-results; !errors.Is(r.err, enough) {
			t.Errorf("got %v, want the reason of its context", r)
		}
		still(1)

		failure := errors.New("failed")
		ends <- func() (string, error) { return "", failure }
		if r := <-results; r.err != failure {
			t.Errorf("got %v", r)
		}
		still(2) // one of those that waited runs, the others wait for it

		ends <- func() (string, error) { panic("oops") }
		if r := <-results; r.out != "panic" {
			t.Errorf("got %v", r)
		}
		still(3)

		_, _ = perch.Once(perch.OnceOptions{}, itself, numbered(new(int)))(t.Context(), "a") // has nothing to do with it
		ends <- func() (string, error) { return "done", nil }
		for range 2 {
			if r := <-results; r.out != "done" || r.err != nil {
				t.Errorf("got %v", r)
			}
		}
		start(t.Context())
		if r := <-results; r.out != "done" || runs.Load() != 3 {
			t.Errorf("got %v after %d runs", r, runs.Load())
		}
	})
}

// A handler whose goroutine ends leaves nobody waiting either.
func TestOnceGoexit(t *testing.T) {
	t.Parallel()
	first := true
	once := perch.Once(perch.OnceOptions{}, itself, func(context.Context, string) (string, error) {
		if first {
			first = false
			runtime.Goexit()
		}
		return "second", nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = once(t.Context(), "a")
	}()
	<-ended
	if got, err := once(t.Context(), "a"); got != "second" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// Many at once, with few keys: of one key never two run at a time, nobody gets another's answer, and after an answer nobody
// runs until it is forgotten.
func TestOnceHammer(t *testing.T) {
	t.Parallel()
	const keys, workers, each = 40, 16, 2000
	for _, remembered := range []int{keys, keys / 4} {
		var running [keys]atomic.Int32
		var answers, runs atomic.Int64
		once := perch.Once(perch.OnceOptions{MaxKeys: remembered},
			func(_ context.Context, i int) string { return strconv.Itoa(i % keys) },
			func(_ context.Context, i int) (int, error) {
				if n := running[i%keys].Add(1); n != 1 {
					t.Errorf("%d run at once", n)
				}
				defer running[i%keys].Add(-1)
				runs.Add(1)
				runtime.Gosched()
				switch i % 7 {
				case 0:
					return -1, errors.New("failed")
				case 1:
					panic("oops")
				}
				answers.Add(1)
				return i % keys, nil
			})
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for n := range each {
					func() {
						defer func() { _ = recover() }()
						i := w*each + n*13
						if got, err := once(t.Context(), i); err == nil && got != i%keys {
							t.Errorf("%d is answered %d", i%keys, got)
						}
					}()
				}
			})
		}
		wg.Wait()
		if n := answers.Load(); remembered == keys && n != keys || n < keys {
			t.Errorf("%d answers to %d keys, %d remembered", n, keys, remembered)
		}
		if answers.Load() == runs.Load() {
			t.Error("nothing has failed")
		}
	}
}

// What is forgotten is free for the collector, and so is what a key was a part of.
func TestOnceMemory(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	var collected atomic.Int32
	type answer struct{ bytes [size]byte }
	once := perch.Once(perch.OnceOptions{MaxKeys: 2},
		func(_ context.Context, s *answer) string { return string(s.bytes[:1]) },
		func(_ context.Context, s *answer) (*answer, error) { return s, nil })
	for i := range byte(10) {
		a := &answer{}
		a.bytes[0] = i
		runtime.AddCleanup(a, func(struct{}) { collected.Add(1) }, struct{}{})
		if _, err := once(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.After(patience); collected.Load() < 8; {
		runtime.GC()
		select {
		case <-deadline:
			t.Fatalf("%d of 8 collected", collected.Load())
		case <-time.After(time.Millisecond):
		}
	}
	if n := collected.Load(); n != 8 {
		t.Errorf("%d collected, two are remembered", n)
	}
	runtime.KeepAlive(once)
}

// Over the wire, in a gateway: the second client sends what the first got no answer to. The handlers of both kinds need no
// types named.
func TestOnceInGateway(t *testing.T) {
	t.Parallel()
	var paid, noted atomic.Int32
	started, proceed := make(chan struct{}), make(chan struct{})
	key := func(ctx context.Context, id string) string {
		if perch.SocketFrom(ctx).ID() == "" {
			t.Error("no socket in the key's context")
		}
		return id
	}
	srv := serve(t, handlers(func(r *perch.Router) {
		perch.On(r, "pay", perch.Once(perch.OnceOptions{}, key, func(_ context.Context, id string) (int32, error) {
			n := paid.Add(1)
			if n == 1 {
				close(started)
				<-proceed
				panic("the first one is lost")
			}
			return n, nil
		}))
		perch.OnEvent(r, "note", perch.OnceEvent(perch.OnceOptions{}, key, func(context.Context, string) error {
			noted.Add(1)
			return nil
		}))
	}))
	a, b := join(t, srv, "/"), join(t, srv, "/")
	a.send(`421["pay","x"]`)
	receive(t, started)
	b.send(`421["pay","x"]`)
	close(proceed)
	a.want(`431[{"status":"error","code":"INTERNAL","message":"Internal server error"}]`)
	b.want(`431[2]`)
	for i, c := range []*client{a, b} {
		c.send(fmt.Sprintf(`42%d["pay","x"]`, i))
		c.want(fmt.Sprintf(`43%d[2]`, i))
		c.send(`427["note","x"]`)
		c.want(`437[]`)
	}
	if paid.Load() != 2 || noted.Load() != 1 {
		t.Errorf("paid %d times, noted %d times", paid.Load(), noted.Load())
	}
}

// Without a key function or a handler it is nil, which On reports.
func TestOnceOfNothing(t *testing.T) {
	t.Parallel()
	event := func(context.Context, string) error { return nil }
	if perch.Once(perch.OnceOptions{}, nil, numbered(new(int))) != nil ||
		perch.Once[string, string](perch.OnceOptions{}, itself, nil) != nil ||
		perch.OnceEvent(perch.OnceOptions{}, nil, event) != nil ||
		perch.OnceEvent(perch.OnceOptions{}, itself, nil) != nil {
		t.Error("a handler was made of nothing")
	}
}

// Payment is an order to pay. Its ID is made by the client, before it is sent for the first time.
type Payment struct {
	ID     string `json:"id"`
	Amount int    `json:"amount"`
}

// Till takes payments.
type Till struct {
	perch.Base
	taken atomic.Int64
}

func (g *Till) Options() perch.Options { return perch.Options{} }

func (g *Till) Register(r *perch.Router) {
	perch.On(r, "pay", perch.Once(perch.OnceOptions{}, paymentKey, g.Pay))
}

// paymentKey names the sender too: ids of two users may be the same.
func paymentKey(ctx context.Context, p Payment) string {
	return User.Value(perch.SocketFrom(ctx)).Name + "/" + p.ID
}

// Pay says what is in the till.
func (g *Till) Pay(_ context.Context, p Payment) (int64, error) {
	return g.taken.Add(int64(p.Amount)), nil
}

// A client that retries, because it got no answer, does not pay twice.
func ExampleOnce() {
	till := new(Till)
	pay := perch.Once(perch.OnceOptions{MaxAge: time.Hour}, paymentKey, till.Pay)

	first, _ := pay(context.Background(), Payment{ID: "7", Amount: 10})
	again, _ := pay(context.Background(), Payment{ID: "7", Amount: 10})
	other, _ := pay(context.Background(), Payment{ID: "8", Amount: 10})
	fmt.Println(first, again, other)
	// Output:
	// 10 10 20
}
