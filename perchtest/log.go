package perchtest

import (
	"io"
	"log/slog"
	"sync"
	"testing"
)

// output is safe for concurrent use: a test's log, which must not be written to when the test is over.
type output struct {
	mu sync.Mutex
	w  io.Writer // nil: it is
}

// newLogger logs warnings and errors to a test's output until the functions given to Cleanup from now on have been called.
func newLogger(t testing.TB) *slog.Logger {
	o := &output{w: t.Output()}
	t.Cleanup(o.end)
	return slog.New(slog.NewTextHandler(o, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.w == nil {
		return len(p), nil
	}
	return o.w.Write(p)
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = nil
}
