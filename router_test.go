package perch_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
)

// point has a Validate with a value receiver.
type point struct {
	X int `json:"x"`
	Y int `json:"y"`
}

func (p point) Validate() error {
	if p.X < 0 {
		return errors.New("x is negative")
	}
	return nil
}

// word has a Validate with a pointer receiver, and an error of its own.
type word struct {
	Text string `json:"text"`
}

func (w *word) Validate() error {
	if w.Text == "" {
		return &perch.Error{Code: "EMPTY", Message: "say something", Details: map[string]string{"field": "text"}}
	}
	return nil
}

type upload struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// answers is one gateway with a handler of each kind.
func answers(r *perch.Router) {
	perch.On(r, "echo", func(_ context.Context, s string) (string, error) { return s, nil })
	perch.On(r, "point", func(_ context.Context, p point) (point, error) { return p, nil })
	perch.On(r, "word", func(_ context.Context, w word) (int, error) { return len(w.Text), nil })
	perch.On(r, "maybe", func(_ context.Context, p *point) (bool, error) { return p != nil, nil })
	perch.On(r, "none", func(context.Context, perch.None) (int, error) { return 0, nil })
	perch.On(r, "nothing", func(_ context.Context, s string) (perch.None, error) { return perch.None{}, nil })
	perch.OnEvent(r, "event", func(_ context.Context, s string) error { return nil })
	perch.On(r, "null", func(context.Context, perch.None) (*point, error) { return nil, nil })
	perch.On(r, "any", func(_ context.Context, v any) (any, error) { return v, nil })
	perch.On(r, "size", func(_ context.Context, u upload) (int, error) { return len(u.Data), nil })
	perch.On(r, "upload", func(_ context.Context, u upload) (upload, error) { return u, nil })
	perch.On(r, "bytes", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	perch.On(r, "error", func(context.Context, perch.None) (int, error) {
		return 1, &perch.Error{Code: "FULL", Message: "no room", Details: map[string]int{"limit": 3}}
	})
	perch.On(r, "wrapped", func(context.Context, perch.None) (int, error) {
		return 0, errors.Join(errors.New("secret"), perch.Errorf("", "told"))
	})
	perch.On(r, "secret", func(context.Context, perch.None) (int, error) { return 0, errors.New("password is 123") })
	perch.On(r, "panic", func(context.Context, perch.None) (int, error) { panic("password is 123") })
	perch.On(r, "nan", func(context.Context, perch.None) (float64, error) { return math.NaN(), nil })
	perch.On(r, "details", func(context.Context, perch.None) (int, error) {
		return 0, &perch.Error{Code: "ODD", Message: "odd", Details: math.Inf(1)}
	})
}

// Architecture section 5, Acks and Errors; N-26, N-28, N-35.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const internal = `{"status":"error","code":"INTERNAL","message":"Internal server error"}`
	tests := []struct{ name, send, want string }{
		{"the value is the ack", `420["echo","hi"]`, `430["hi"]`},
		{"text with escapes", `421["echo","a\"\u00e9\n"]`, `431["a\"é\n"]`},
		{"empty text", `422["echo",""]`, `432[""]`},
		{"surplus arguments are ignored", `423["echo","hi",1,2]`, `433["hi"]`},
		{"zero is a value", `424["none"]`, `434[0]`},
		{"null is a value", `425["null"]`, `435[null]`},
		{"struct", `426["point",{"x":1,"y":2}]`, `436[{"x":1,"y":2}]`},
		{"any", `427["any",[1,{"a":null}]]`, `437[[1,{"a":null}]]`},
		{"a handler without value acks with no argument", `428["event","x"]`, `438[]`},
		{"None is no argument", `429["nothing","x"]`, `439[]`},
		{"pointer may be missing", `4210["maybe"]`, `4310[false]`},
		{"pointer may be null", `4211["maybe",null]`, `4311[false]`},
		{"pointer given", `4212["maybe",{"x":1}]`, `4312[true]`},
		{"missing argument", `420["echo"]`, `430[{"status":"error","code":"BAD_PAYLOAD","message":"the payload is missing"}]`},
		{"missing argument, validated type", `420["point"]`, `430[{"status":"error","code":"BAD_PAYLOAD","message":"the payload is missing"}]`},
		{"Validate on the value", `420["point",{"x":-1}]`, `430[{"status":"error","code":"INVALID","message":"x is negative"}]`},
		{"Validate on what a pointer points to", `420["maybe",{"x":-1}]`, `430[{"status":"error","code":"INVALID","message":"x is negative"}]`},
		{"Validate on the pointer", `420["word",{}]`, `430[{"status":"error","code":"EMPTY","message":"say something","details":{"field":"text"}}]`},
		{"an Error as it is", `420["error"]`, `430[{"status":"error","code":"FULL","message":"no room","details":{"limit":3}}]`},
		{"an Error among others", `420["wrapped"]`, `430[{"status":"error","code":"ERROR","message":"told"}]`},
		{"any other error masked", `420["secret"]`, `430[` + internal + `]`},
		{"a panic is an error", `420["panic"]`, `430[` + internal + `]`},
		{"a result that cannot be encoded", `420["nan"]`, `430[` + internal + `]`},
		{"details that cannot be encoded", `420["details"]`, `430[{"status":"error","code":"ODD","message":"odd"}]`},
		{"unknown event", `420["nobody"]`, `430[{"status":"error","code":"UNKNOWN_EVENT","message":"no handler for the event \"nobody\""}]`},
		{"without ack an error is an exception", `42["secret"]`, `42["exception",` + internal + `]`},
		{"missing argument without ack", `42["echo"]`, `42["exception",{"status":"error","code":"BAD_PAYLOAD","message":"the payload is missing"}]`},
	}
	srv := serve(t, handlers(answers))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := join(t, srv, "/")
			if got := c.ask(tt.send); got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", tt.send, got, tt.want)
			}
			// The connection goes on.
			if got := c.ask(`4299["echo","still"]`); got != `4399["still"]` {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

// What does not fit is the client's mistake and says where, in no words of Go's.
func TestPayloadThatDoesNotFit(t *testing.T) {
	t.Parallel()
	srv := serve(t, handlers(answers))
	for _, tt := range []struct{ send, path string }{
		{`420["echo",{"a":1}]`, ""},
		{`420["point",{"x":"one"}]`, "x"},
		{`420["point",7]`, ""},
		{`420["upload",{"name":[]}]`, "name"},
	} {
		t.Run(tt.send, func(t *testing.T) {
			t.Parallel()
			got := join(t, srv, "/").ask(tt.send)
			if !strings.HasPrefix(got, `430[{"status":"error","code":"BAD_PAYLOAD","message":"the payload does not fit`) {
				t.Fatalf("got %s", got)
			}
			if strings.Contains(got, "perch") || strings.Contains(got, "struct") {
				t.Errorf("names a type of Go's: %s", got)
			}
			if wanted := `"details":{"path":"` + tt.path + `"}`; tt.path != "" && !strings.Contains(got, wanted) {
				t.Errorf("got %s, wanted %s in it", got, wanted)
			}
		})
	}
}

// N-26, N-28: nothing is sent that was not asked for.
func TestNothingWithoutAck(t *testing.T) {
	t.Parallel()
	c := join(t, serve(t, handlers(answers)), "/")
	c.send(`42["echo","dropped"]`)
	c.send(`42["event","x"]`)
	c.send(`42["nobody"]`)
	if got := c.ask(`421["echo","asked"]`); got != `431["asked"]` {
		t.Errorf("got %s", got)
	}
}

// Architecture section 2: a []byte anywhere is an attachment, both ways.
func TestBinary(t *testing.T) {
	t.Parallel()
	c := join(t, serve(t, handlers(answers)), "/")

	c.send(`451-1["size",{"name":"a","data":{"_placeholder":true,"num":0}}]`)
	c.write(websocket.MessageBinary, []byte("12345"))
	c.want(`431[5]`)

	c.send(`451-2["upload",{"name":"a","data":{"_placeholder":true,"num":0}}]`)
	c.write(websocket.MessageBinary, []byte("12345"))
	c.want(`461-2[{"name":"a","data":{"_placeholder":true,"num":0}}]`, "b:12345")

	c.send(`451-3["bytes",{"_placeholder":true,"num":0}]`)
	c.write(websocket.MessageBinary, []byte("12345"))
	c.want(`461-3[{"_placeholder":true,"num":0}]`, "b:12345")
}

// N-21: all handlers of an event run, in order of registration; the first ack counts.
func TestSeveralHandlersOfOneEvent(t *testing.T) {
	t.Parallel()
	var order []string // handlers of one socket run one at a time
	step := func(name string, err error) func(context.Context, perch.None) (string, error) {
		return func(context.Context, perch.None) (string, error) {
			order = append(order, name)
			return name, err
		}
	}
	first := handlers(func(r *perch.Router) {
		perch.On(r, "good", step("a", nil))
		perch.On(r, "good", step("b", nil))
		perch.On(r, "bad", step("a", perch.Errorf("NO", "no")))
		perch.On(r, "late", step("a", nil))
	})
	second := handlers(func(r *perch.Router) {
		perch.On(r, "good", step("c", nil))
		perch.On(r, "bad", step("c", nil))
		perch.On(r, "late", step("c", perch.Errorf("LATE", "late")))
		perch.On(r, "order", func(context.Context, perch.None) (string, error) { return strings.Join(order, ""), nil })
	})
	c := join(t, serve(t, first, second), "/")
	c.send(`421["good"]`)
	c.want(`431["a"]`)
	c.send(`422["bad"]`)
	c.want(`432[{"status":"error","code":"NO","message":"no"}]`)
	// An error that finds the ack used up is not lost.
	c.send(`423["late"]`)
	c.want(`433["a"]`, `42["exception",{"status":"error","code":"LATE","message":"late"}]`)
	c.send(`424["order"]`)
	c.want(`434["abcacac"]`)
}

// A frame is used for event after event: nothing of one may be seen by the next.
func TestPayloadsDoNotMix(t *testing.T) {
	t.Parallel()
	type all struct {
		A *int           `json:"a,omitempty"`
		B []int          `json:"b,omitempty"`
		C map[string]int `json:"c,omitempty"`
		D string         `json:"d,omitempty"`
	}
	c := join(t, serve(t, handlers(func(r *perch.Router) {
		perch.On(r, "all", func(_ context.Context, v all) (all, error) { return v, nil })
	})), "/")
	c.send(`421["all",{"a":1,"b":[1,2],"c":{"x":1},"d":"y"}]`)
	c.want(`431[{"a":1,"b":[1,2],"c":{"x":1},"d":"y"}]`)
	c.send(`422["all",{}]`)
	c.want(`432[{}]`)
}

// What may not be seen by clients must be seen by somebody.
func TestMaskedErrorsAreLogged(t *testing.T) {
	t.Parallel()
	var book logbook
	_, srv := start(t, perch.WithLogger(book.logger()), perch.WithGateways(handlers(answers)))
	c := join(t, srv, "/")
	c.ask(`421["secret"]`)
	c.ask(`422["panic"]`)
	c.ask(`423["error"]`)
	log := book.String()
	for _, want := range []string{"password is 123", "panic: password is 123", "event=secret", "event=panic", "router_test.go"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "no room") {
		t.Errorf("an Error meant for the client is logged:\n%s", log)
	}
}
