package perchfx_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/perch-go/perch"
	perchfx "github.com/perch-go/perch/contrib/fx"
)

func NewGateway() *Gateway { return &Gateway{} }

// What is wrong is an error of fx.New and says what to change.
func TestErrors(t *testing.T) {
	t.Parallel()
	module, gateway := perchfx.Module(quiet()), perchfx.Provide(NewGateway)
	for name, tt := range map[string]struct {
		options []fx.Option
		want    []string
	}{
		"New's, all of them": {
			[]fx.Option{module, perchfx.Provide(func() *Gateway { return &Gateway{options: perch.Options{Namespace: "a chat", Port: -1}} })},
			[]string{
				"perchfx: no app can be made of the gateways of Provide:\n",
				"\nperch: gateway *perchfx_test.Gateway (namespace /a chat): namespace \"a chat\": it contains white space: choose another name",
				"\nperch: gateway *perchfx_test.Gateway (namespace /a chat): port -1: choose one",
			},
		},
		// Check 13, N-12: double binding.
		"one instance twice": {
			[]fx.Option{module, gateway, perchfx.Gateway[*Gateway]()},
			[]string{"perch: gateway *perchfx_test.Gateway: the same instance is given twice: pass it once"},
		},
		"one constructor twice": {
			[]fx.Option{module, gateway, fx.Module("other", gateway)},
			[]string{"NewGateway", "*perchfx_test.Gateway", "already provided"},
		},
		"no gateway": {
			[]fx.Option{module},
			[]string{"perch: the app has no gateway", "of Provide"},
		},
		"a constructor's error": {
			[]fx.Option{module, perchfx.Provide(func() (*Gateway, error) { return nil, errors.New("no database") })},
			[]string{"no database"},
		},
		"a service is missing": {
			[]fx.Option{module, perchfx.Provide(NewChatGateway)},
			[]string{"NewChatGateway", "missing type: *perchfx_test.History"},
		},
		"Module is missing": {
			[]fx.Option{gateway},
			[]string{"needsModule", "missing type: *perch.App"},
		},
		"Module is missing for Serve":   {[]fx.Option{perchfx.Serve(":0")}, []string{"missing type: *perch.App"}},
		"Module is missing for Mount":   {[]fx.Option{perchfx.Mount()}, []string{"missing type: *perch.App"}},
		"Module is missing for Gateway": {[]fx.Option{perchfx.Gateway[*Gateway]()}, []string{"missing type: *perch.App"}},
		"Module is missing for With": {
			[]fx.Option{perchfx.With(func() perch.Option { return quiet() })},
			[]string{"missing type: *perch.App"},
		},
		"Module twice": {[]fx.Option{module, perchfx.Module(), gateway}, []string{"*perch.Emitter", "already provided"}},
		"not a constructor": {
			[]fx.Option{module, perchfx.Provide(&Gateway{})},
			[]string{"perchfx.Provide: *perchfx_test.Gateway is no constructor", "with Gateway"},
		},
		"nil": {[]fx.Option{module, perchfx.Provide(nil)}, []string{"perchfx.Provide: <nil> is no constructor"}},
		"not a gateway's constructor": {
			[]fx.Option{module, perchfx.Provide(NewHistory)},
			[]string{"perchfx.Provide: func() *perchfx_test.History returns no gateway"},
		},
		"a value": {
			[]fx.Option{module, perchfx.Provide(func() Gateway { return Gateway{} })},
			[]string{"return a pointer to a type that has the methods of perch.Gateway"},
		},
		"nil from a constructor": {
			[]fx.Option{module, perchfx.Provide(func() perch.Gateway { return nil })},
			[]string{"is nil: pass what its constructor returns"},
		},
		"an option": {
			[]fx.Option{module, gateway, perchfx.With(quiet())},
			[]string{"perchfx.With: perch.optionFunc is no constructor of an option"},
		},
		"not an address": {
			[]fx.Option{module, gateway, perchfx.ServeFrom(func() int { return 3000 })},
			[]string{"perchfx.ServeFrom: func() int is no constructor of an address"},
		},
		"what the address needs": {
			[]fx.Option{module, gateway, perchfx.ServeFrom(func(*History) string { return "" })},
			[]string{"missing type: *perchfx_test.History"},
		},
		"two addresses": {
			[]fx.Option{module, gateway, perchfx.Serve(":0"), perchfx.Serve(":0")},
			[]string{"*perchfx.Server", "already provided"},
		},
		"no mux": {
			[]fx.Option{module, gateway, perchfx.Mount()},
			[]string{"missing type: *http.ServeMux"},
		},
		"mounted twice": {
			[]fx.Option{module, gateway, fx.Provide(http.NewServeMux), perchfx.Mount(), perchfx.Mount()},
			[]string{"*perchfx.mount", "already provided"},
		},
		"a path that is taken": {
			[]fx.Option{module, gateway, perchfx.Mount(), fx.Provide(func() *http.ServeMux {
				mux := http.NewServeMux()
				mux.Handle("/socket.io/", http.NotFoundHandler())
				return mux
			})},
			[]string{"perchfx: the mux has a path of the app already", "/socket.io/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := create(tt.options...).Err()
			if err == nil {
				t.Fatalf("no error, want %q", tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			}
			if strings.HasPrefix(tt.want[0], "perch: gateway") {
				var g *perch.GatewayError
				if !errors.As(err, &g) {
					t.Error("it is no GatewayError")
				}
			}
		})
	}
}
