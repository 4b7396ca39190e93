package inbox

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := New[int]()
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		in.Put(1)
		in.Put(2)
		if got, err := in.Take(ctx); err != nil || !slices.Equal(got, []int{1, 2}) {
			t.Errorf("%v, %v", got, err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if got, err := in.Take(ctx); err != nil || !slices.Equal(got, []int{3}) {
				t.Errorf("%v, %v", got, err)
			}
			if _, err := in.Take(ctx); !errors.Is(err, cause) {
				t.Errorf("%v", err)
			}
		}()
		synctest.Wait()
		in.Put(3)
		synctest.Wait()
		cancel(cause)
		<-done
		in.Put(4)
		if got, err := in.Take(ctx); err != nil || !slices.Equal(got, []int{4}) {
			t.Errorf("what is there is taken: %v, %v", got, err)
		}
	})
}
