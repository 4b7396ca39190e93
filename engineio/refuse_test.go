package engineio

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Row S-80: what is wrong with an upgrade is answered by HTTP, before it.
func TestRefusedUpgrades(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Logger: quiet()}, func(s *Session) Handler { return &recorder{session: s, closed: make(chan Reason, 1)} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	tests := []struct {
		name   string
		change func(r *http.Request)
		status int
	}{
		{"another WebSocket version", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "7") }, http.StatusUpgradeRequired},
		{"no key", func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, http.StatusBadRequest},
		{"a key that is too short", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "c2hvcnQ=") }, http.StatusBadRequest},
		{"HTTP/1.0", func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 }, http.StatusMethodNotAllowed},
		{"a connection that cannot be taken over", func(*http.Request) {}, http.StatusNotImplemented},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/engine.io/?EIO=4&transport=websocket", nil)
			for name, value := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
			} {
				r.Header.Set(name, value)
			}
			tt.change(r)
			w := httptest.NewRecorder() // which is no http.Hijacker
			server.ServeHTTP(w, r)
			if w.Code != tt.status || w.Body.Len() == 0 || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %q, want %d and the reason", w.Code, w.Body, tt.status)
			}
		})
	}
}
