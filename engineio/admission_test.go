package engineio

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

// Places come back whatever becomes of a handshake.
func TestPlacesComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{
			Limits:       Limits{MaxSessions: 1, MaxPerAddress: 1},
			AllowRequest: func(r *http.Request) error { return errors.New("no") },
		}, true)
		defer f.close()
		f.from()
		for range 3 {
			if status, _, _ := f.do("GET", base, "", "X-Address", "192.0.2.1:1"); status != 403 {
				t.Errorf("%d", status)
			}
			for _, bad := range []string{"?EIO=4&transport=carrier", "?EIO=3&transport=polling", "?EIO=4&transport=websocket"} {
				if status, _, _ := f.do("GET", "http://perch.test/engine.io/"+bad, "", "X-Address", "192.0.2.1:1"); status != 400 && status != 403 {
					t.Errorf("%s: %d", bad, status)
				}
			}
		}
		synctest.Wait()
		if n, p := f.server.places.Load(), f.server.pending.Load(); n != 0 || p != 0 || len(f.server.addresses.all) != 0 {
			t.Errorf("%d places, %d handshakes, addresses %v", n, p, f.server.addresses.all)
		}
	})
}

// A handshake that a middleware has made itself takes a place too.
func TestPlacesOfMiddlewares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{Limits: Limits{MaxSessions: 1}}, true)
		defer f.close()
		f.server.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				afresh := r.Clone(r.Context())
				afresh.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "sid=gone", "")
				next.ServeHTTP(w, afresh)
			})
		})
		for i, want := range []int{200, 503, 503} {
			if status, body, _ := f.do("GET", base+"&sid=gone", ""); status != want {
				t.Errorf("%d: %d %s", i, status, body)
			}
		}
		if s := f.server.Stats(); s.Sessions != 1 || s.Limits.Sessions != 2 || s.Limits.Pending != 0 || f.server.places.Load() != 1 {
			t.Errorf("%+v, %d places", s, f.server.places.Load())
		}
	})
	synctest.Test(t, func(t *testing.T) { // the first time it is refused, which gives its place up only at the end
		asked := 0
		f := newPlain(t, Options{Limits: Limits{MaxSessions: 2}}, Plain{}, func(*Session, *http.Request) error {
			if asked++; asked == 1 {
				return errors.New("not yet")
			}
			return nil
		})
		defer f.close()
		f.server.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(httptest.NewRecorder(), r)
				next.ServeHTTP(w, r)
			})
		})
		f.open("")
		synctest.Wait()
		if s := f.server.Stats(); asked != 2 || s.Sessions != 1 || s.Limits.Pending != 0 || f.server.places.Load() != 1 {
			t.Errorf("asked %d times, %+v, %d places", asked, s, f.server.places.Load())
		}
	})
}
