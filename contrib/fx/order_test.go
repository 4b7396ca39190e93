package perchfx_test

import (
	"fmt"
	"slices"
	"testing"

	"go.uber.org/fx"

	"github.com/perch-go/perch"
	perchfx "github.com/perch-go/perch/contrib/fx"
)

// fx hands over value groups in random order; gateways come in the program's all the same.
func TestOrder(t *testing.T) {
	t.Parallel()
	var d diary
	gateway := func(who string) func() perch.Gateway {
		return func() perch.Gateway {
			return &Gateway{options: perch.Options{Namespace: who}, afterInit: func() { d.write(who) }}
		}
	}
	// One of them is made for another, and so before its turn.
	type special struct{ *Gateway }
	first := func(*special) perch.Gateway { return gateway("first")() }
	var want []string
	for i := range 50 {
		third := fx.Module("third", perchfx.Provide(gateway("third"), gateway("fourth")))
		app := create(
			perchfx.Module(quiet(), perch.WithGateways(gateway("zeroth")())),
			fx.Module("inner", fx.Module("innermost", perchfx.Provide(first))),
			perchfx.Provide(gateway("second")),
			perchfx.Provide(func() *special { return &special{gateway("special")().(*Gateway)} }),
			third, // called before the others
		)
		if err := app.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := app.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		want = append(want, "zeroth", "third", "fourth", "first", "second", "special")
		if got := d.read(); !slices.Equal(got, want) {
			t.Fatalf("at turn %d the order is %v", i, fmt.Sprint(got[len(got)-6:]))
		}
	}
}
