package perch_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
)

// What the pipeline is measured with: an event whose payload is decoded, a check of the client before that and one of the
// payload after it, and an ack that carries the payload.
const (
	overheadEvent = `421["x",{"x":12,"y":34}]`
	overheadAck   = `431[{"x":12,"y":34}]`
)

// gatewayURL serves it by On with a guard and a Validate method.
func gatewayURL(tb testing.TB) string {
	return serve(tb, handlers(func(r *perch.Router) {
		perch.On(r, "x", func(_ context.Context, p point) (point, error) { return p, nil }, perch.WithGuards(
			func(_ context.Context, ec *perch.ExecutionContext) error {
				if !ec.Socket().Connected() {
					return perch.ErrForbidden
				}
				return nil
			}))
	})).URL
}

// bareURL serves it by a handler of package socketio that does the same.
func bareURL(tb testing.TB) string {
	s, err := socketio.New(socketio.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	s.Handle("x", func(_ context.Context, e *socketio.Event) {
		if !e.Socket().Connected() {
			return
		}
		var p point
		if err := e.Decode(0, &p); err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			return
		}
		_ = e.Ack(&p)
	})
	srv := httptest.NewServer(s)
	tb.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		srv.Close()
	})
	return srv.URL
}

// BenchmarkPipeline is the way of one message without the pipeline and with it, over a loopback connection.
func BenchmarkPipeline(b *testing.B) {
	for _, side := range []struct {
		name string
		url  func(testing.TB) string
	}{{"bare", bareURL}, {"gateway", gatewayURL}} {
		b.Run(side.name, func(b *testing.B) {
			round, _ := pipelined(b, side.url(b), overheadEvent, len(overheadAck))
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += inFlight {
				round()
			}
		})
	}
}

// The pipeline, with a guard and validation, costs at most three allocations for each message.
func TestPipelineAllocations(t *testing.T) { // not parallel: it counts those of the process
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	bare, gateway := allocations(t, bareURL(t), overheadEvent, overheadAck), allocations(t, gatewayURL(t), overheadEvent, overheadAck)
	t.Logf("%.2f allocations for each message, %.2f without the pipeline", gateway, bare)
	if more := gateway - bare; more > 3 {
		t.Errorf("the pipeline allocates %.2f times for each message, want at most 3", more)
	}
}
