package client

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio"
)

// CVE-2016-10536 and CVE-2021-31597: a server's certificate is verified unless an HTTPClient says otherwise.
func TestCVE_2016_10536(t *testing.T) {
	t.Parallel()
	server, err := socketio.New(socketio.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	server.Of("/")
	web := httptest.NewUnstartedServer(server)
	web.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelError)
	web.StartTLS()
	defer web.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, transport := range []Transport{Polling, WebSocket} {
		o := Options{Transports: []Transport{transport}, NoReconnection: true, Logger: quiet}
		s, err := Dial(ctx, web.URL, o)
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("%s: %v", transport, err)
		}
		if s != nil {
			_ = s.Close()
		}
		o.HTTPClient = web.Client() // which knows the certificate
		if s, err = Dial(ctx, web.URL, o); err != nil {
			t.Errorf("%s: %v", transport, err)
			continue
		}
		_ = s.Close()
	}
	if err := server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	web.Client().CloseIdleConnections()
}
