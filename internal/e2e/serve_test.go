package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/perch-go/perch/socketio"
)

// listen serves web, which srv is or is a part of, on a port of its own until the test ends.
func listen(t *testing.T, srv *socketio.Server, web http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(web)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		s.Close()
	})
	return s.URL
}
