package perch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/socketio"
)

// pingPatience is what an adapter has to answer: less than the second that Kubernetes gives a probe by default.
const pingPatience = 800 * time.Millisecond

// What a probe is told, and nothing else: who asks may be anybody.
const (
	stateLive     = "live"
	stateReady    = "ready"
	stateStarting = "starting"
	stateStopping = "stopping"
	stateFull     = "full"
	stateCut      = "adapter unreachable"
)

// health is safe for concurrent use. It remembers what the last probe was told, so that only a change is logged.
type health struct{ last atomic.Pointer[string] }

// LivenessHandler answers 200 as long as the process can answer at all, also before Start and during Shutdown: who restarts a
// process that does not answer is not to restart one that is about to end by itself.
func (a *App) LivenessHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, stateLive) })
}

// ReadinessHandler answers 200 when new clients are let in, and 503 before Start has returned, from the moment that Shutdown is
// called, while there are as many sessions as Limits.MaxSessions of the engine allows, and while an adapter cannot reach the other
// processes ([adapter.Pinger]). The body is a word or two for whoever looks at it
// by hand; why an adapter is not reached is in the log.
//
// The app registers no path for it, nor for [App.LivenessHandler]: they belong on the program's own mux, or on a port of its own
// that only the orchestrator can reach.
func (a *App) ReadinessHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state, err := a.readiness(r.Context())
		a.noteHealth(state, err)
		status := http.StatusOK
		if state != stateReady {
			status = http.StatusServiceUnavailable
		}
		tell(w, status, state)
	})
}

func (a *App) readiness(ctx context.Context) (state string, err error) {
	switch a.state.Load() {
	case running:
	case stopped:
		return stateStopping, nil
	default:
		return stateStarting, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	err = a.eachService(func(s *service) error { return s.io.Ready(ctx) })
	switch {
	case err == nil:
		return stateReady, nil
	case errors.Is(err, socketio.ErrShuttingDown):
		return stateStopping, nil
	case errors.Is(err, socketio.ErrFull):
		return stateFull, err
	}
	return stateCut, err
}

func (a *App) noteHealth(state string, err error) {
	last := a.health.last.Swap(&state)
	switch {
	case last != nil && *last == state:
	case err != nil:
		a.logger.Warn("perch: not ready", "state", state, "error", err)
	case last != nil && state == stateReady:
		a.logger.Info("perch: ready again")
	}
}

func tell(w http.ResponseWriter, status int, state string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, state+"\n")
}
