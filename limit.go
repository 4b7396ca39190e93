package perch

import (
	"context"
	"fmt"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// Limits is a plain value: what one client may do, beside what [EngineOptions] bound. Each zero field is the default it names.
type Limits = socketio.Limits

// Rate is a plain value: so many events per second on average, and so many at once.
type Rate = socketio.Rate

// WithLimits sets them. The default is the zero value, which bounds everything that costs memory and does not count how often a
// client does something.
func WithLimits(l Limits) Option {
	return optionFunc(func(s *settings) { s.limits = l })
}

// WithRateLimit bounds how often a client may send: perSecond events on average, and up to burst at once; a burst of 0 is as many as in
// a second. The rest is refused with [CodeRateLimited]. (Nest: the @Throttle of a module of its own.)
//
// As an option of a handler it counts the client's events for this handler, before anything else of its pipeline; the refusal goes
// through the filters. As an option of the app it counts all events of a client, in all namespaces together, of Socket.IO and of plain
// WebSocket clients, known or not, and no handler hears of those that are refused; it is [Limits].EventRate. Both may be given.
// How many in a row end the connection is Limits.MaxExcesses.
func WithRateLimit(perSecond float64, burst int) Enhancer {
	return rateLimit{PerSecond: perSecond, Burst: burst}
}

type rateLimit socketio.Rate

func (r rateLimit) apply(s *settings) {
	rate := socketio.Rate(r)
	s.rate = &rate
	if err := checkRates([]socketio.Rate{rate}); err != nil {
		s.errs = append(s.errs, fmt.Errorf("perch: %w", err))
	}
}

func (r rateLimit) applyHandler(s *handlerSettings) { s.rates = append(s.rates, socketio.Rate(r)) }

func checkRates(rates []socketio.Rate) error {
	for _, r := range rates {
		if _, err := socketio.NewRateLimit(r); err != nil {
			return fmt.Errorf("WithRateLimit: %w", err)
		}
	}
	return nil
}

// rateLimited is what the client is told.
var rateLimited = &Error{Code: CodeRateLimited, Message: socketio.ErrRateLimited.Message}

// limited is the stage of a handler's own rates.
func limited(rates []socketio.Rate, next stage) stage {
	var limits []*socketio.RateLimit
	for _, r := range rates {
		if l, err := socketio.NewRateLimit(r); err == nil { // if not, New has failed
			limits = append(limits, l)
		}
	}
	return func(ctx context.Context, ec *ExecutionContext) error {
		for _, l := range limits {
			if !l.Take(ec.event.Socket()) {
				return rateLimited
			}
		}
		return next(ctx, ec)
	}
}

// excess answers an event that is beyond the app's rate.
func (w wire) excess(_ context.Context, e *socketio.Event) {
	s, _ := socketOf(e.Socket())
	_ = w.deliver(&ExecutionContext{socket: s, event: e}, rateLimited)
}

// Strict turns on limits that are off by default, because they may hit honest clients: those of a program that sends more than
// others do, those who share an address, or, behind a proxy that [EngineOptions].TrustedProxies does not name, everybody. What
// another option sets itself stays as it is, in whatever order they are given. It sets:
//
//   - Limits.EventRate: 50 events per second of each client, and up to 200 at once, see [WithRateLimit]
//   - Limits.MaxExcesses: 500 events in a row beyond a rate end the connection
//   - Limits.MaxRooms: 1,000 rooms for each socket
//   - Limits.AckTimeout: an acknowledgement is awaited for one minute
//   - EngineOptions.Limits: [engineio.StrictLimits], which are tighter bounds in size and time; 50,000 sessions; and for each
//     address (of IPv6 each /64) 100 sessions, 10 handshakes per second, 100 at once, and ten minutes of refusals for the eleventh
//     misbehaviour within a minute
func Strict() Option {
	return optionFunc(func(s *settings) { s.strict = true })
}

// ServerStats is a plain value: the counters of the server that serves one path of one port.
type ServerStats struct {
	Port     int    // 0: the app's
	Path     string // of Socket.IO
	Engine   engineio.Stats
	SocketIO socketio.Stats
}

// Stats returns the counters of each server as they are now. It asks every connection for its traffic, so it is meant for every
// few seconds, not for every request.
func (a *App) Stats() []ServerStats {
	all := make([]ServerStats, len(a.services))
	for i, s := range a.services {
		all[i] = ServerStats{s.port, s.path, s.io.Engine().Stats(), s.io.Stats()}
	}
	return all
}
