package perchfx

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"

	"go.uber.org/fx"

	"github.com/perch-go/perch"
)

// The value groups that the app is made of, see parts. fx hands over a group in random order.
const (
	gatewayGroup = `group:"perchfx.gateways"`
	optionGroup  = `group:"perchfx.options"`
)

var (
	gatewayType = reflect.TypeFor[perch.Gateway]()
	optionType  = reflect.TypeFor[perch.Option]()
	errorType   = reflect.TypeFor[error]()
)

// numbered is a value of a group, and when it was named in the program.
type numbered[T any] struct {
	number int64
	value  T
}

// numbers is how many there are.
var numbers atomic.Int64

// inOrder is a group as the program has it.
func inOrder[T any](group []numbered[T]) []T {
	group = slices.Clone(group)
	slices.SortFunc(group, func(a, b numbered[T]) int { return cmp.Compare(a.number, b.number) })
	values := make([]T, len(group))
	for i, g := range group {
		values[i] = g.value
	}
	return values
}

// Provide is fx.Provide for the constructors of gateways: functions that take what they
// need, also by fx.In, and return a gateway, or a gateway and an error. The gateway is
// part of the app that [Module] makes and can be injected elsewhere by its own type. Results
// beside it are provided as fx.Provide does it.
//
// Several gateways of one type are made by constructors whose result is a [perch.Gateway]:
// such a one is part of the app and cannot be injected.
//
// Gateways come into the app in the order in which Provide and [Gateway] were called by the
// program, whatever fx does. Where modules are kept in variables of packages that is the
// order in which Go initialises these.
func Provide(constructors ...any) fx.Option {
	options := []fx.Option{fx.Invoke(needsModule)}
	for _, c := range constructors {
		options = append(options, provide(c))
	}
	return fx.Options(options...)
}

// Gateway makes a gateway of what something else provides as T, such as fx.Supply or a constructor
// that fx.Annotate has changed.
func Gateway[T perch.Gateway]() fx.Option {
	return fx.Options(fx.Invoke(needsModule), add(reflect.TypeFor[T](), numbers.Add(1), ""))
}

// With makes options of the app of constructors, functions that take what they need and
// return a [perch.Option], or one and an error: it is for guards, filters and the like that
// need a service, as Nest's APP_GUARD and its kin are.
//
//	perchfx.With(func(a *Accounts) perch.Option { return perch.WithGuards(a.SignedIn) })
//
// They come after those of [Module], in the order in which With was called.
func With(constructors ...any) fx.Option {
	options := []fx.Option{fx.Invoke(needsModule)}
	for _, c := range constructors {
		t := reflect.TypeOf(c)
		if results := resultsOf(t); len(results) != 1 || results[0] != optionType {
			return fx.Error(fmt.Errorf("perchfx.With: %T is no constructor of an option: pass a function that returns a perch.Option", c))
		}
		n := numbers.Add(1)
		name := fmt.Sprintf(`name:"perchfx.option.%d"`, n)
		options = append(options, fx.Provide(
			fx.Annotate(c, fx.ResultTags(name)),
			fx.Annotate(func(o perch.Option) numbered[perch.Option] { return numbered[perch.Option]{n, o} },
				fx.ParamTags(name), fx.ResultTags(optionGroup)),
		))
	}
	return fx.Options(options...)
}

// needsModule makes it an error of fx.New that Module is missing: otherwise nothing
// would ask for the gateways, and they would not be there without a word.
func needsModule(*perch.App) {}

// resultsOf is what a constructor returns, without its error; nil if it is none.
func resultsOf(t reflect.Type) (results []reflect.Type) {
	if t == nil || t.Kind() != reflect.Func {
		return nil
	}
	for r := range t.Outs() {
		results = append(results, r)
	}
	if n := len(results); n > 0 && results[n-1] == errorType {
		results = results[:n-1]
	}
	return results
}

func provide(constructor any) fx.Option {
	if t := reflect.TypeOf(constructor); t == nil || t.Kind() != reflect.Func {
		return fx.Error(fmt.Errorf("perchfx.Provide: %T is no constructor: pass a function that returns a gateway, and add what something else provides with Gateway", constructor))
	}
	var gateways []fx.Option
	tags := make([]string, 0, 1)
	named := false
	for _, r := range resultsOf(reflect.TypeOf(constructor)) {
		tag, n := "", numbers.Add(1)
		if r == gatewayType { // of which fx could have only one
			tag, named = fmt.Sprintf(`name:"perchfx.gateway.%d"`, n), true
		}
		if tags = append(tags, tag); r.Implements(gatewayType) {
			gateways = append(gateways, add(r, n, tag))
		}
	}
	if len(gateways) == 0 {
		return fx.Error(fmt.Errorf("perchfx.Provide: %T returns no gateway: return a pointer to a type that has the methods of perch.Gateway, or use fx.Provide", constructor))
	}
	if named {
		constructor = fx.Annotate(constructor, fx.ResultTags(tags...))
	}
	return fx.Options(append(gateways, fx.Provide(constructor))...)
}

// add brings the gateway that is provided as t, under a name if there is a tag, into the
// group as number n. A second result of its own constructor could not do that: fx gives all results that
// are one value the same tags.
func add(t reflect.Type, n int64, tag string) fx.Option {
	signature := reflect.FuncOf([]reflect.Type{t}, []reflect.Type{reflect.TypeFor[numbered[perch.Gateway]]()}, false)
	f := reflect.MakeFunc(signature, func(in []reflect.Value) []reflect.Value {
		g, _ := in[0].Interface().(perch.Gateway) // nil stays nil, and an error of New
		return []reflect.Value{reflect.ValueOf(numbered[perch.Gateway]{n, g})}
	})
	return fx.Provide(fx.Annotate(f.Interface(), fx.ParamTags(tag), fx.ResultTags(gatewayGroup)))
}
