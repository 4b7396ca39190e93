package e2e

import (
	"context"
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
	url := listen(t, srv, srv)
	suite(t, "compression.test.mjs", map[string]string{"PERCH_COMPRESSION_URL": url})
}
