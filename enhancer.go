package perch

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio"
)

// Guard decides whether an event may be handled or, as a connection guard, whether a
// client may connect: nil lets it pass. An [*Error] is what the client is told;
// [ErrForbidden] is one for those who have nothing more to say. It is called concurrently
// for different sockets.
//
// A guard sees the arguments as they came, before any pipe.
type Guard func(ctx context.Context, ec *ExecutionContext) error

// ErrForbidden is what a guard may return that has nothing more to say, in Nest's words (N-32).
var ErrForbidden = &Error{Code: CodeForbidden, Message: "Forbidden resource"}

// Interceptor runs around a handler, its pipes included: it may do something before and
// after next, change what next returns, which is the handler's value, or not call it. It
// is called concurrently for different sockets. The value of a stream is its iter.Seq2,
// that of a handler without one is nil.
//
// It may call next again. One that gives up on next, which it has to have called on
// another goroutine then, should end next's context: the event is not over, and the client
// not answered, before next has returned.
type Interceptor func(ctx context.Context, ec *ExecutionContext, next func(ctx context.Context) (any, error)) (any, error)

// Middleware runs around everything, guards included. It is called concurrently for
// different sockets. An error that it returns instead of calling next goes the way of all
// errors: see [Filter]. What is said of next there holds here: see [Interceptor].
type Middleware func(ctx context.Context, ec *ExecutionContext, next func(ctx context.Context) error) error

// Filter gets the error of an event, from whichever stage, or of a hook, a panic among
// them, and returns what goes on to the next filter and at last to the client: the same
// error, another, or nil for one that is dealt with. Filters form a chain: those of the
// handler first, then the gateway's, then the app's, in each the one that was given last
// first (N-34). It is called concurrently for different sockets.
//
// An event whose error was dealt with is acked, if the client asked for that, with no
// argument, unless errors are delivered as with Nest: see [DeliverException]. A client that was refused stays refused, whatever a filter makes of it.
type Filter func(ctx context.Context, ec *ExecutionContext, err error) error

// Pipe is an immutable value: a step between decoding and the handler, which checks or
// changes a payload. Make one with [PipeFunc] or [PipeFor].
type Pipe struct {
	accepts reflect.Type // nil: any
	run     func(ctx context.Context, ec *ExecutionContext, payload any) error
}

// PipeFunc is a pipe for payloads of any type. payload points to it, so that it can be
// changed in place. The function is called concurrently for different sockets.
func PipeFunc(run func(ctx context.Context, ec *ExecutionContext, payload any) error) Pipe {
	return Pipe{run: run}
}

// PipeFor is a pipe for payloads of type T. As a handler's own it has to be the type that
// the handler takes; as a gateway's or the app's it passes over other types.
func PipeFor[T any](run func(ctx context.Context, payload *T) error) Pipe {
	return Pipe{
		accepts: reflect.TypeFor[T](),
		run: func(ctx context.Context, _ *ExecutionContext, payload any) error {
			return run(ctx, payload.(*T))
		},
	}
}

// Check runs the pipe on what payload points to, as a pipeline does, for a test of the pipe.
// It passes over a payload of a type that the pipe is not for.
func (p Pipe) Check(ctx context.Context, payload any) error {
	if p.accepts != nil && reflect.TypeOf(payload) != reflect.PointerTo(p.accepts) {
		return nil
	}
	return p.run(ctx, new(ExecutionContext), payload)
}

// Enhancer is an [Option] of the app and a [HandlerOption]: guards, interceptors, pipes,
// filters and middleware (all of them are enhancers in Nest's words), and a rate.
type Enhancer interface {
	Option
	HandlerOption
}

// HandlerOption is an immutable value: a setting of one handler, given where it is
// registered.
type HandlerOption interface{ applyHandler(*handlerSettings) }

// enhancements are what one scope adds to pipelines.
type enhancements struct {
	middleware       []Middleware
	guards           []Guard
	connectionGuards []Guard
	interceptors     []Interceptor
	pipes            []Pipe
	filters          []Filter
	rates            []socketio.Rate // of one handler
	metadata         map[string]any
}

func (e *enhancements) add(o enhancements) {
	e.middleware = append(e.middleware, o.middleware...)
	e.guards = append(e.guards, o.guards...)
	e.connectionGuards = append(e.connectionGuards, o.connectionGuards...)
	e.interceptors = append(e.interceptors, o.interceptors...)
	e.pipes = append(e.pipes, o.pipes...)
	e.filters = append(e.filters, o.filters...)
	e.rates = append(e.rates, o.rates...)
}

// check finds functions that are nil.
func (e *enhancements) check() error {
	for what, found := range map[string]bool{
		"a middleware":   slices.ContainsFunc(e.middleware, func(m Middleware) bool { return m == nil }),
		"a guard":        slices.ContainsFunc(slices.Concat(e.guards, e.connectionGuards), func(g Guard) bool { return g == nil }),
		"an interceptor": slices.ContainsFunc(e.interceptors, func(i Interceptor) bool { return i == nil }),
		"a pipe":         slices.ContainsFunc(e.pipes, func(p Pipe) bool { return p.run == nil }),
		"a filter":       slices.ContainsFunc(e.filters, func(f Filter) bool { return f == nil }),
	} {
		if found {
			return fmt.Errorf("%s is nil: pass a function or leave it out", what)
		}
	}
	return checkRates(e.rates)
}

// handlerSettings are what the options of one handler add up to.
type handlerSettings struct {
	enhancements
	concurrent    bool
	cancelOnLeave bool
	timeout       time.Duration
}

// enhancer makes an Enhancer of what it adds.
type enhancer enhancements

func (e enhancer) apply(s *settings)               { s.enhancements.add(enhancements(e)) }
func (e enhancer) applyHandler(s *handlerSettings) { s.add(enhancements(e)) }

// WithGuards adds guards.
func WithGuards(guards ...Guard) Enhancer { return enhancer{guards: guards} }

// WithInterceptors adds interceptors, the first one outermost.
func WithInterceptors(interceptors ...Interceptor) Enhancer {
	return enhancer{interceptors: interceptors}
}

// WithPipes adds pipes. They run one after the other, before the payload's own Validate.
func WithPipes(pipes ...Pipe) Enhancer { return enhancer{pipes: pipes} }

// WithFilters adds filters.
func WithFilters(filters ...Filter) Enhancer { return enhancer{filters: filters} }

// WithMiddleware adds middleware, the first one outermost.
func WithMiddleware(middleware ...Middleware) Enhancer { return enhancer{middleware: middleware} }

// WithConnectionGuards adds guards that every client of the app has to pass before it is
// connected, and before HandleConnection is called; see [Router.UseConnectionGuards].
func WithConnectionGuards(guards ...Guard) Option { return enhancer{connectionGuards: guards} }

// handlerOption is a HandlerOption that is a function.
type handlerOption func(*handlerSettings)

func (o handlerOption) applyHandler(s *handlerSettings) { o(s) }

// WithMetadata puts a value on a handler, for guards and interceptors to find by
// [ExecutionContext.Metadata]: the roles it is for, say. (Nest: SetMetadata.)
func WithMetadata(name string, value any) HandlerOption {
	return handlerOption(func(s *handlerSettings) {
		if s.metadata == nil {
			s.metadata = make(map[string]any)
		}
		s.metadata[name] = value
	})
}

// Concurrent takes a handler off its socket's lane: the socket's next event does not wait
// for it, and so may be handled, and answered, before. The disconnect hooks still wait.
func Concurrent() HandlerOption {
	return handlerOption(func(s *handlerSettings) { s.concurrent = true })
}

// CancelOnLeave ends the handler's context when its client leaves. Without it what was
// begun is finished.
func CancelOnLeave() HandlerOption {
	return handlerOption(func(s *handlerSettings) { s.cancelOnLeave = true })
}

// WithTimeout ends the handler's context after d, and when its client leaves. A handler
// that then returns the context's error is answered with CodeTimeout.
func WithTimeout(d time.Duration) HandlerOption {
	return handlerOption(func(s *handlerSettings) { s.timeout, s.cancelOnLeave = d, true })
}

// Use adds middleware to every handler of the gateway, whether registered before or after.
func (r *Router) Use(middleware ...Middleware) { r.enhance(enhancements{middleware: middleware}) }

// UseGuards adds guards to every handler of the gateway.
func (r *Router) UseGuards(guards ...Guard) { r.enhance(enhancements{guards: guards}) }

// UseConnectionGuards adds guards that a client has to pass before it is connected to the
// gateway's namespace, and before the gateway's HandleConnection is called. A refusal is
// the client's connect_error, with the error's message and, as data, its code and details.
func (r *Router) UseConnectionGuards(guards ...Guard) {
	r.enhance(enhancements{connectionGuards: guards})
}

// UseInterceptors adds interceptors to every handler of the gateway.
func (r *Router) UseInterceptors(interceptors ...Interceptor) {
	r.enhance(enhancements{interceptors: interceptors})
}

// UsePipes adds pipes to every handler of the gateway.
func (r *Router) UsePipes(pipes ...Pipe) { r.enhance(enhancements{pipes: pipes}) }

// UseFilters adds filters for the errors of every handler of the gateway, and of its hooks.
func (r *Router) UseFilters(filters ...Filter) { r.enhance(enhancements{filters: filters}) }

// SetMetadata puts a value on every handler of the gateway that has none of that name.
func (r *Router) SetMetadata(name string, value any) {
	if r.scope.metadata == nil {
		r.scope.metadata = make(map[string]any)
	}
	r.scope.metadata[name] = value
}

func (r *Router) enhance(e enhancements) {
	r.check(callerLine(), e.check())
	r.scope.add(e)
}
