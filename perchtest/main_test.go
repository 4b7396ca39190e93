package perchtest_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failing is a test within a test, which may fail.
type failing struct {
	testing.TB
	failed  []string
	output  bytes.Buffer
	cleanup []func()
}

func (f *failing) Helper()           {}
func (f *failing) Output() io.Writer { return &f.output }
func (f *failing) Cleanup(fn func()) { f.cleanup = append(f.cleanup, fn) }
func (f *failing) Errorf(format string, args ...any) {
	f.failed = append(f.failed, fmt.Sprintf(format, args...))
}
func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// end is what comes after a test.
func (f *failing) end() {
	for _, fn := range slices.Backward(f.cleanup) {
		fn()
	}
}

// wantFailure runs a test that has to fail, with a message that contains want.
func wantFailure(t *testing.T, want string, test func(t testing.TB)) {
	t.Helper()
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.end()
		test(f)
	}()
	<-done
	if len(f.failed) != 1 || !strings.Contains(f.failed[0], want) {
		t.Errorf("failed with %q, want one message with %q", f.failed, want)
	}
}
