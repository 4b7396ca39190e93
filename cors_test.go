package perch_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
)

// preflight asks from another origin whether it may.
func preflight(t *testing.T, srv *httptest.Server, origin string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, srv.URL+"/socket.io/?EIO=4&transport=polling", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Access-Control-Request-Method", "POST")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// Checks 5, 6 and 14: the CORS of a gateway, wherever it stands in the order, and the
// app's default for those without.
func TestCORS(t *testing.T) {
	t.Parallel()
	listed := perch.CORS{Origins: []string{"https://a.example"}, AllowedHeaders: []string{"X-Token"}, Credentials: true}
	tests := []struct {
		name    string
		options []perch.Option
		origin  string
		want    map[string]string
	}{
		{"the article's object", []perch.Option{perch.WithGateways(&gateway{options: perch.Options{
			Namespace: "chat",
			CORS:      &perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}},
		}})}, "https://a.example", map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET,POST",
		}},
		{"on the second gateway (N-6)", []perch.Option{perch.WithGateways(
			&gateway{}, &gateway{options: perch.Options{Namespace: "second", CORS: &listed}},
		)}, "https://a.example", map[string]string{
			"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Headers": "X-Token",
			"Access-Control-Allow-Credentials": "true", "Vary": "Origin",
		}},
		{"of the app", []perch.Option{perch.WithCORS(listed), perch.WithGateways(&gateway{})}, "https://a.example",
			map[string]string{"Access-Control-Allow-Origin": "https://a.example"}},
		{"a gateway's before the app's", []perch.Option{
			perch.WithCORS(listed), perch.WithGateways(&gateway{options: perch.Options{CORS: &perch.CORS{Origins: []string{"*"}}}}),
		}, "https://b.example", map[string]string{"Access-Control-Allow-Origin": "*"}},
		{"an origin that is not listed", []perch.Option{perch.WithCORS(listed), perch.WithGateways(&gateway{})}, "https://b.example",
			map[string]string{"Access-Control-Allow-Origin": ""}},
		{"none", []perch.Option{perch.WithGateways(&gateway{})}, "https://a.example", map[string]string{"Access-Control-Allow-Origin": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, srv := start(t, tt.options...)
			h := preflight(t, srv, tt.origin).Header
			for name, want := range tt.want {
				if got := h.Values(name); strings.Join(got, "|") != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Check 14 (ii): a CORS middleware around the whole server leaves one header of each.
func TestCORSMiddlewareAround(t *testing.T) {
	t.Parallel()
	app, err := perch.New(quiet(), perch.WithCORS(perch.CORS{Origins: []string{"*"}}), perch.WithGateways(handlers(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Shutdown(t.Context()) }()
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		mux.ServeHTTP(w, r)
	}))
	defer srv.Close()
	if got := preflight(t, srv, "https://a.example").Header.Values("Access-Control-Allow-Origin"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// Check 16: the list decides upgrades too, and a refusal names the setting.
func TestOriginOfUpgrade(t *testing.T) {
	t.Parallel()
	var book logbook
	_, srv := start(t, perch.WithLogger(book.logger()), perch.WithGateways(&gateway{options: perch.Options{
		CORS: &perch.CORS{Origins: []string{"https://a.example"}},
	}}))
	for origin, want := range map[string]bool{"https://a.example": true, "https://b.example": false, srv.URL: true} {
		conn, _, err := websocket.Dial(t.Context(), srv.URL+"/socket.io/?EIO=4&transport=websocket",
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
		if err == nil {
			_ = conn.CloseNow()
		}
	}
	if log := book.String(); !strings.Contains(log, "https://b.example") || !strings.Contains(log, "CORS") {
		t.Errorf("the log does not name the setting:\n%s", log)
	}
}

// S-63, S-15, S-17: engine middlewares and hooks reach every server of an app.
func TestEngineHooks(t *testing.T) {
	t.Parallel()
	set := func(value string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("X-Passed", value)
				next.ServeHTTP(w, r)
			})
		}
	}
	_, srv := start(t,
		perch.WithEngineMiddleware(set("one"), set("two")), perch.WithEngineMiddleware(set("three")),
		perch.WithEngine(perch.EngineOptions{AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Has("deny") {
				return errors.New("not you")
			}
			return nil
		}}),
		perch.WithGateways(
			&gateway{options: perch.Options{CORS: &perch.CORS{AllowOrigin: func(o string, _ *http.Request) bool { return o == "https://a.example" }}}},
			&gateway{options: perch.Options{Path: "/other"}},
		))
	for path, want := range map[string]int{
		"/socket.io/?EIO=4&transport=polling": 200, "/other/?EIO=4&transport=polling": 200,
		"/socket.io/?EIO=4&transport=polling&deny": 403, "/other/?EIO=4&transport=polling&deny": 403,
	} {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := strings.Join(resp.Header.Values("X-Passed"), " "); resp.StatusCode != want || got != "one two three" {
			t.Errorf("%s: %s, %q", path, resp.Status, got)
		}
	}
	for origin, want := range map[string]int{"https://a.example": 204, "https://b.example": 403} {
		if resp := preflight(t, srv, origin); resp.StatusCode != want {
			t.Errorf("%s: %s", origin, resp.Status)
		}
	}
}
