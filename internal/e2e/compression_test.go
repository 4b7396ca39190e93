package e2e

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// TestCompression runs compression.test.mjs against a server that compresses whatever it may (S-18, S-19).
func TestCompression(t *testing.T) {
	srv, err := socketio.New(socketio.Options{Engine: engineio.Options{
		AllowEIO3:                true,
		HTTPCompressionThreshold: 100,
		PerMessageDeflate:        &engineio.Deflate{Threshold: 100},
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Of("/").Handle("echo", func(ctx context.Context, e *socketio.Event) {
		args := all(e)
		if err := srv.Of("/").Emit("echo", args...); err != nil {
			t.Error(err)
		}
		_ = e.Ack(args...)
	})
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		web.Close()
	})
	suite(t, "compression.test.mjs", map[string]string{"PERCH_COMPRESSION_URL": web.URL})
}
