package validator

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	playground "github.com/go-playground/validator/v10"

	"github.com/perch-go/perch"
)

type line struct {
	Text string `json:"text" validate:"required,max=5"`
}

type order struct {
	ID    int     `json:"id" validate:"min=1"`
	Name  string  `json:"name,omitempty" validate:"required,min=1,max=10"`
	Lines []line  `json:"lines" validate:"dive"`
	Color string  `validate:"omitempty,hexcolor"`
	Next  *order  `json:"next"`
	Price float64 `json:"-"`
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := order{ID: 1, Name: "n"}
	for _, tt := range []struct {
		name    string
		payload any
		want    string // of the details, as JSON; empty: it passes
	}{
		{"good", &good, ""},
		{"a pointer to a pointer", new(*order), ""},
		{"no struct", new(string), ""},
		{"a list without tags", &[]int{1}, ""},
		{"bad", &order{Name: "far too long a name"}, `[
			{"path":"id","rule":"min","message":"id must be 1 or greater"},
			{"path":"name","rule":"max","message":"name must be a maximum of 10 characters in length"}]`},
		{"within a list", &order{ID: 1, Name: "n", Lines: []line{{"ok"}, {""}}}, `[
			{"path":"lines[1].text","rule":"required","message":"text is a required field"}]`},
		{"within a struct", &order{ID: 1, Name: "n", Next: &order{ID: 1}}, `[
			{"path":"next.name","rule":"required","message":"name is a required field"}]`},
		{"a list of structs", &[]line{{"ok"}, {"too long"}}, `[
			{"path":"[1].text","rule":"max","message":"text must be a maximum of 5 characters in length"}]`},
		{"without json name", &order{ID: 1, Name: "n", Color: "red"}, `[
			{"path":"Color","rule":"hexcolor","message":"Color must be a valid HEX color"}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := run(Pipe(), tt.payload)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *perch.Error
			if !errors.As(err, &e) || e.Code != perch.CodeInvalid {
				t.Fatal(err)
			}
			got, _ := json.Marshal(e.Details)
			if want := strings.NewReplacer("\n", "", "\t", "").Replace(tt.want); string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// run runs a pipe as a gateway would.
func run(p perch.Pipe, payload any) error {
	return p.Check(context.Background(), payload)
}

// A tag of one's own has a message too.
func TestOwnTag(t *testing.T) {
	t.Parallel()
	v := playground.New()
	if err := v.RegisterValidation("even", func(f playground.FieldLevel) bool { return f.Field().Int()%2 == 0 }); err != nil {
		t.Fatal(err)
	}
	err := run(PipeWith(v), &struct {
		N int `json:"n" validate:"even"`
	}{1})
	if err == nil || !strings.Contains(err.Error(), "n does not pass even") {
		t.Error(err)
	}
}
