package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/parser"
)

// note is a payload that can be checked.
type note struct {
	Text string `json:"text"`
	File []byte `json:"file,omitempty"`
}

var errEmpty = errors.New("say something")

func (n *note) Validate() error {
	switch n.Text {
	case "":
		return errEmpty
	case "rude":
		return &Error{Code: "RUDE", Message: "no"}
	}
	return nil
}

const (
	noted  event.Event[note]               = "noted"
	typing event.Event[event.None]         = "typing"
	keep   event.Request[note, int]        = "keep"
	count  event.Request[event.None, int]  = "count"
	forget event.Request[note, event.None] = "forget"
)

// wired is a socket whose server repeats what it is told to: "say" name args… emits, "ask" name args… asks and acks with the answer.
func wired(t *testing.T, o Options) (*Socket, *site) {
	t.Helper()
	site := newSite(t, socketio.Options{})
	raws := func(e *socketio.Event) (name string, args []any) {
		if err := e.Decode(0, &name); err != nil {
			t.Error(err)
		}
		for i := 1; i < e.NumArgs(); i++ {
			var raw parser.Raw
			if err := e.Decode(i, &raw); err != nil {
				t.Error(err)
			}
			args = append(args, raw)
		}
		return name, args
	}
	site.Handle("say", func(_ context.Context, e *socketio.Event) {
		name, args := raws(e)
		_ = e.Socket().Emit(name, args...)
	})
	site.Handle("ask", func(ctx context.Context, e *socketio.Event) {
		name, args := raws(e)
		reply, err := e.Socket().EmitWithAck(ctx, name, args...)
		if err != nil {
			_ = e.Ack(err.Error())
			return
		}
		var got []any
		for i := range reply.NumArgs() {
			got = append(got, string(reply.Raw(i)))
		}
		_ = e.Ack(got...)
	})
	// What is told is acknowledged as it came.
	site.Handle("tell", func(_ context.Context, e *socketio.Event) { _, args := raws(e); _ = e.Ack(args...) })
	o.DialContext, o.Logger = site.dial, quiet
	s := site.client("", o)
	connect(t, s)
	return s, site
}

func TestOn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, _ := wired(t, Options{Transports: transports})
		r := newRecord()
		s.OnError(func(e *Event, err error) {
			var misfit *parser.DecodeError
			r.add("%s: %v %v %v", e.Name(), errors.Is(err, ErrNoArgument), errors.As(err, &misfit), errors.Is(err, errEmpty))
		})
		off := On(s, noted, func(_ context.Context, n note) { r.add("noted %s %s", n.Text, n.File) })
		On(s, "optional", func(_ context.Context, n *note) { r.add("optional %v", n != nil) })
		On(s, typing, func(context.Context, event.None) { r.add("typing") })
		On(s, "text", func(_ context.Context, text string) { r.add("text %q", text) })
		On(s, "panic", func(context.Context, event.None) { panic("no") })
		for _, args := range [][]any{
			{"noted", note{"a", []byte{'b'}}, "surplus"}, {"noted"}, {"noted", 1}, {"noted", note{}}, {"noted", note{Text: "rude"}},
			{"optional"}, {"optional", note{Text: "c"}}, {"optional", nil}, {"optional", note{}},
			{"typing"}, {"typing", "surplus"}, {"text", "plain"}, {"text", "\"\n"}, {"text"}, {"panic"},
		} {
			if err := s.Emit("say", args...); err != nil {
				t.Fatal(err)
			}
		}
		r.want(t, "noted a b", "noted: true false false", "noted: false true false", "noted: false false true", "noted: false false false",
			"optional false", "optional true", "optional false", "optional: false false true",
			"typing", "typing", `text "plain"`, `text "\"\n"`, "text: true false false", "panic: false false false")
		off()
		_ = s.Emit("say", "noted", note{Text: "d"})
		r.want(t)
	})
}

func TestOnRequest(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, _ := wired(t, Options{Transports: transports})
		r := newRecord()
		s.OnError(func(e *Event, err error) { r.add("%s: %v", e.Name(), err) })
		secret := errors.New("the password is 1234")
		OnRequest(s, keep, func(_ context.Context, n note) (int, error) {
			switch n.Text {
			case "secret":
				return 0, secret
			case "panic":
				panic(secret)
			case "own":
				return 0, fmt.Errorf("wrapped: %w", &Error{Code: "MINE", Message: "no", Details: parser.Raw{JSON: []byte(`[1]`)}})
			case "codeless":
				return 0, &Error{Message: "no"}
			case "broken details":
				return 0, &Error{Code: "MINE", Message: "no", Details: parser.Raw{JSON: []byte(`[1`)}}
			case "decode": // an error of this kind, but not of the argument
				return 0, parser.Decode([]byte(`"x"`), nil, new(int))
			}
			return len(n.Text), nil
		})
		OnRequest(s, forget, func(context.Context, note) (event.None, error) { return event.None{}, nil })
		OnRequest(s, count, func(context.Context, event.None) (int, error) { return 7, nil })
		OnRequest(s, "nan", func(context.Context, event.None) (float64, error) { return math.NaN(), nil })
		const internal = `["{\"status\":\"error\",\"code\":\"INTERNAL\",\"message\":\"Internal client error\"}"]`
		for _, tt := range []struct {
			name string
			arg  any // nil: none
			want string
			told string // OnError, "" if nothing
		}{
			{"keep", note{Text: "four"}, `["4"]`, ""},
			{"forget", note{Text: "x"}, `[]`, ""},
			{"count", nil, `["7"]`, ""},
			{"keep", nil, `["{\"status\":\"error\",\"code\":\"BAD_PAYLOAD\",\"message\":\"the payload is missing\"}"]`, "keep: client: no such argument"},
			{"keep", map[string]int{"text": 1}, `["{\"status\":\"error\",\"code\":\"BAD_PAYLOAD\",\"message\":\"the payload does not fit at text: unexpected number\",\"details\":{\"path\":\"text\"}}"]`,
				"keep: parser: cannot decode number at text into string"},
			{"keep", note{}, `["{\"status\":\"error\",\"code\":\"INVALID\",\"message\":\"say something\"}"]`, "keep: client: invalid: say something"},
			{"keep", note{Text: "rude"}, `["{\"status\":\"error\",\"code\":\"RUDE\",\"message\":\"no\"}"]`, "keep: client: invalid: RUDE: no"},
			{"keep", note{Text: "secret"}, internal, "keep: the password is 1234"},
			{"keep", note{Text: "panic"}, internal, "keep: client: handler panicked: the password is 1234"},
			{"keep", note{Text: "decode"}, internal, "keep: parser: cannot decode string into int"},
			{"keep", note{Text: "own"}, `["{\"status\":\"error\",\"code\":\"MINE\",\"message\":\"no\",\"details\":[1]}"]`, ""},
			{"keep", note{Text: "codeless"}, `["{\"status\":\"error\",\"code\":\"ERROR\",\"message\":\"no\"}"]`, ""},
			{"keep", note{Text: "broken details"}, `["{\"status\":\"error\",\"code\":\"MINE\",\"message\":\"no\"}"]`, ""},
			{"nan", nil, internal, "nan: client: parser: cannot encode argument 0: JSON has no NaN and no infinity"},
		} {
			args := []any{tt.name}
			if tt.arg != nil {
				args = append(args, tt.arg)
			}
			reply, err := s.EmitWithAck(t.Context(), "ask", args...)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for i := range reply.NumArgs() {
				var text string
				if err := reply.Decode(i, &text); err != nil {
					t.Error(err)
				}
				got = append(got, text)
			}
			if text := mustJSON(t, got); text != tt.want {
				t.Errorf("%s %+v: got %s, want %s", tt.name, tt.arg, text, tt.want)
			}
			if tt.told == "" {
				r.want(t)
			} else {
				r.want(t, tt.told)
			}
		}
		// Nobody is there to be answered.
		_ = s.Emit("say", "keep", note{Text: "own"})
		_ = s.Emit("say", "keep", note{Text: "fine"})
		r.want(t, "keep: wrapped: MINE: no")
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := parser.NewRaw(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw.JSON)
}

// The first handler to answer wins; the others' errors are not lost.
func TestOnRequestTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := wired(t, Options{Transports: []Transport{WebSocket}})
		r := newRecord()
		s.OnError(func(e *Event, err error) { r.add("%s: %v", e.Name(), err) })
		OnRequest(s, count, func(context.Context, event.None) (int, error) { return 1, nil })
		OnRequest(s, count, func(context.Context, event.None) (int, error) { return 2, nil })
		OnRequest(s, count, func(context.Context, event.None) (int, error) { return 3, &Error{Code: "LATE", Message: "no"} })
		if got, err := Call[string](t.Context(), s, "ask", "count"); got != "1" || err != nil {
			t.Error(got, err)
		}
		r.want(t, "count: LATE: no")
	})
}

func TestCall(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site := wired(t, Options{Transports: transports})
		ctx := t.Context()
		site.Handle("keep", func(_ context.Context, e *socketio.Event) { _ = e.Ack(e.NumArgs()) })
		site.Handle("count", func(_ context.Context, e *socketio.Event) { _ = e.Ack(e.NumArgs()) })
		site.Handle("forget", func(_ context.Context, e *socketio.Event) { _ = e.Ack("surplus") })
		site.Handle("nothing", func(_ context.Context, e *socketio.Event) { _ = e.Ack() })
		site.Handle("refuse", func(_ context.Context, e *socketio.Event) {
			_ = e.Ack(map[string]any{"status": "error", "code": "NO", "message": "not you", "details": map[string]int{"n": 1}})
		})
		site.Handle("note", func(_ context.Context, e *socketio.Event) {
			var n note
			_ = e.Decode(0, &n)
			_ = e.Ack(n)
		})
		site.Handle("silent", func(context.Context, *socketio.Event) {})
		if got, err := Call(ctx, s, keep, note{Text: "x"}); got != 1 || err != nil {
			t.Error(got, err)
		}
		if got, err := Call(ctx, s, count, event.None{}); got != 0 || err != nil {
			t.Error("None is no argument:", got, err)
		}
		if _, err := Call(ctx, s, forget, note{}); err != nil {
			t.Error("an answer that nobody wants:", err)
		}
		if got, err := Call[note](ctx, s, "note", note{"x", []byte("bytes")}); got.Text != "x" || string(got.File) != "bytes" || err != nil {
			t.Error(got, err)
		}
		if _, err := Call[note](ctx, s, "note", note{}); !errors.Is(err, errEmpty) {
			t.Error("an answer that is not valid:", err)
		}
		if _, err := Call[int](ctx, s, "nothing", 1); !errors.Is(err, ErrNoArgument) {
			t.Error("no answer:", err)
		}
		if got, err := Call[*int](ctx, s, "nothing", 1); got != nil || err != nil {
			t.Error("no answer wanted:", got, err)
		}
		var misfit *parser.DecodeError
		if _, err := Call[string](ctx, s, "keep", 1); !errors.As(err, &misfit) {
			t.Error("a wrong answer:", err)
		}
		var refused *Error
		var details struct{ N int }
		if _, err := Call[int](ctx, s, "refuse", 1); !errors.As(err, &refused) || refused.Code != "NO" || refused.Details.Decode(&details) != nil || details.N != 1 {
			t.Error("refused:", err)
		}
		if _, err := Call[event.None](ctx, s, "refuse", 1); !errors.As(err, &refused) {
			t.Error("refused, and nothing wanted:", err)
		}
		if _, err := Call[int](ctx, s.Timeout(time.Second), "silent", 1); !errors.Is(err, ErrTimeout) {
			t.Error("no answer in time:", err)
		}
		if _, err := Call[int](ctx, s, "keep", math.NaN()); err == nil {
			t.Error("NaN was sent")
		}
		if _, err := Call[int](ctx, s, "connect", 1); !errors.Is(err, ErrReserved) {
			t.Error("a reserved name:", err)
		}
		canceled, cancel := context.WithCancelCause(ctx)
		cancel(errEmpty)
		if _, err := Call[int](canceled, s, "keep", 1); !errors.Is(err, errEmpty) {
			t.Error("a context that is done:", err)
		}
	})
}

func TestEmitTyped(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site := wired(t, Options{Transports: transports})
		r := newRecord()
		tell := func(_ context.Context, e *socketio.Event) { r.add("%s %d %s", e.Name(), e.NumArgs(), e.Raw(0)) }
		for _, name := range []string{"noted", "typing", "plain", "volatile"} {
			site.Handle(name, tell)
		}
		if err := errors.Join(
			Emit(s, noted, note{Text: "a"}), Emit(s, typing, event.None{}), Emit(s, "plain", []int{1, 2}), Emit(s.Compress(false), "plain", "x"),
		); err != nil {
			t.Error(err)
		}
		r.want(t, `noted 1 {"text":"a"}`, "typing 0 ", "plain 1 [1,2]", `plain 1 "x"`)
		site.turn(false)
		synctest.Wait()
		if err := Emit(s.Volatile(), "volatile", 1); err != nil {
			t.Error(err)
		}
		site.turn(true)
		time.Sleep(10 * time.Second)
		r.want(t)
	})
}

// What a server of Perch emits as "exception" is an Error.
func TestException(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := wired(t, Options{Transports: []Transport{WebSocket}})
		r := newRecord()
		On(s, "exception", func(_ context.Context, e Error) { r.add("%v %s", &e, e.Details.JSON) })
		_ = s.Emit("say", "exception", map[string]any{"status": "error", "code": "NO", "message": "not you", "details": 1})
		r.want(t, "NO: not you 1")
	})
}
