package payload_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio/parser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// args are arguments in JSON.
type args []string

func (a args) NumArgs() int              { return len(a) }
func (a args) Raw(i int) []byte          { return []byte(a[i]) }
func (a args) Decode(i int, v any) error { return parser.Decode([]byte(a[i]), nil, v) }

type post struct{ Text string }

var errMute = errors.New("mute")

func (p *post) Validate() error {
	if p.Text == "" {
		return errMute
	}
	return nil
}

func (a word) Validate() error { return (&post{string(a)}).Validate() }

type word string

func decode[T any](a args) (v T, err error) {
	err = payload.Decoder[T]()(a, &v)
	return v, err
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	if v, err := decode[string](args{`"plain"`, `2`}); v != "plain" || err != nil {
		t.Error(v, err)
	}
	if v, err := decode[string](args{`"\u0061\n"`}); v != "a\n" || err != nil {
		t.Error(v, err)
	}
	if v, err := decode[post](args{`{"text":"x"}`}); v.Text != "x" || err != nil {
		t.Error(v, err)
	}
	if v, err := decode[*post](nil); v != nil || err != nil {
		t.Error(v, err)
	}
	if _, err := decode[event.None](args{`"surplus"`}); err != nil {
		t.Error(err)
	}
	if _, err := decode[post](nil); !errors.Is(err, payload.ErrMissing) {
		t.Error(err)
	}
}

func TestMisfit(t *testing.T) {
	t.Parallel()
	_, missing := decode[int](nil)
	_, all := decode[int](args{`"x"`})
	_, part := decode[post](args{`{"text":1}`})
	for _, tt := range []struct {
		err           error
		message, path string
	}{
		{missing, "the payload is missing", ""},
		{all, "the payload does not fit: unexpected string", ""},
		{part, "the payload does not fit at text: unexpected number", "text"},
		{errMute, "the payload does not fit", ""},
	} {
		if message, path := payload.Misfit(tt.err); message != tt.message || path != tt.path {
			t.Errorf("%v: %q, %q", tt.err, message, path)
		}
		if payload.IsMisfit(tt.err) != (tt.err != errMute) {
			t.Errorf("%v: a misfit or not?", tt.err)
		}
	}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	if payload.Validation[int]() != nil {
		t.Error("an int has a validation")
	}
	if err := payload.Validation[post]()(&post{}); !errors.Is(err, errMute) {
		t.Error(err)
	}
	p := &post{}
	if err := payload.Validation[*post]()(&p); !errors.Is(err, errMute) {
		t.Error(err)
	}
	p = nil
	if err := payload.Validation[*post]()(&p); err != nil {
		t.Error("nil is validated:", err)
	}
	w := word("")
	if err := payload.Validation[word]()(&w); !errors.Is(err, errMute) {
		t.Error(err)
	}
}
