package perch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/perch-go/perch/socketio"
)

// Platform is called by New alone, and what it returns serves requests concurrently. It is a kind of client that a gateway
// serves (Nest: an adapter, but of each gateway its own): those of [SocketIO], and those of package plainws, which are
// WebSocket clients without Socket.IO. Whatever its platform, a client is a [Socket] in the gateway's namespace, in the same
// rooms, and meets the same guards, handlers and hooks.
type Platform interface {
	// Path is where its clients connect, a pattern of http.ServeMux without method and host; empty is the gateway's
	// Path.
	Path() string
	// Handler makes what serves that path. Its clients join the namespace of s that is named by what namespace
	// returns for their request.
	Handler(s *socketio.Server, namespace func(*http.Request) string) (http.Handler, error)
}

// SocketIO is the platform of clients that speak Socket.IO, over each of its transports, at the gateway's Path. It is the one
// of gateways that list none.
func SocketIO() Platform { return socketIO{} }

type socketIO struct{}

func (socketIO) Path() string { return "" }

// Handler is the server: its clients name their namespace themselves.
func (socketIO) Handler(s *socketio.Server, _ func(*http.Request) string) (http.Handler, error) {
	return s, nil
}

func isSocketIO(p Platform) bool {
	_, ok := p.(socketIO)
	return ok
}

// defaultPlatforms are those of a namespace whose gateways name none.
var defaultPlatforms = []Platform{SocketIO()}

// mountpoint is a path that a service serves.
type mountpoint struct {
	pattern string
	handler http.Handler
}

// platform gives the namespace of m its platforms, which its gateways share like their other settings.
func (s *service) platform(m *member) error {
	for i, p := range m.options.Platforms {
		switch {
		case p == nil:
			return fmt.Errorf("platform %d is nil: leave it out", i+1)
		case slices.ContainsFunc(m.options.Platforms[:i], func(q Platform) bool { return q != nil && q.Path() == p.Path() }):
			return fmt.Errorf("two of its platforms have the path %q: give them different ones", p.Path())
		case p.Path() != "" && !strings.HasPrefix(p.Path(), "/"):
			return fmt.Errorf("platform path %q does not begin with a slash: write /%s", p.Path(), p.Path())
		}
	}
	if m.options.Platforms == nil {
		return nil
	}
	if len(m.options.Platforms) == 0 {
		return errors.New("its list of platforms is empty, so that nobody could connect: name one, or leave it nil for Socket.IO")
	}
	for _, other := range s.gateways {
		if other.name == m.name && other != m && other.options.Platforms != nil && !samePlatforms(other.options.Platforms, m.options.Platforms) {
			return fmt.Errorf("its platforms differ from those of %s in the same namespace: list them in one of them, or the same in both", other.label)
		}
	}
	return nil
}

// platforms are those of a namespace.
func (s *service) platforms(namespace string) []Platform {
	for _, m := range s.gateways {
		if m.name == namespace && m.options.Platforms != nil {
			return m.options.Platforms
		}
	}
	return defaultPlatforms
}

// speaksSocketIO reports whether a namespace, or any if it is empty, is there for Socket.IO's clients.
func (s *service) speaksSocketIO(namespace string) bool {
	for _, m := range s.gateways {
		if (namespace == "" || m.name == namespace) && slices.ContainsFunc(s.platforms(m.name), isSocketIO) {
			return true
		}
	}
	return false
}

// samePlatforms compares as data, whatever the order.
func samePlatforms(a, b []Platform) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(p Platform) bool {
		return !slices.ContainsFunc(b, func(q Platform) bool { return reflect.DeepEqual(p, q) })
	})
}

// plainOnly keeps clients of Socket.IO out of a namespace that is not for them: to them there is none of that name.
func plainOnly(_ context.Context, s *socketio.Socket) error {
	if !s.Plain() {
		return socketio.ErrInvalidNamespace
	}
	return nil
}

// open makes what the service serves, and registers it on mux, which is there to find out what cannot be served together.
func (s *service) open(mux *http.ServeMux) (errs []error) {
	wrong := func(m *member, err error) { errs = append(errs, &GatewayError{Gateway: m.label, Err: err}) }
	add := func(m *member, pattern string, h http.Handler) {
		at := mountpoint{pattern, gate{s, h}}
		if err := at.register(mux); err != nil {
			wrong(m, fmt.Errorf("path %q: %w", pattern, err))
			return
		}
		s.mountpoints = append(s.mountpoints, at)
	}
	done := make(map[string]bool) // namespaces, and "" for Socket.IO
	for _, m := range s.gateways {
		for _, r := range m.routes {
			r.info.Platforms = slices.Clone(s.platforms(m.name))
		}
		if done[m.name] {
			continue
		}
		done[m.name] = true
		for _, p := range s.platforms(m.name) {
			if isSocketIO(p) {
				if !done[""] {
					done[""] = true
					add(m, s.path, s.io)
					// Clients differ in the last slash, and the mux's redirect would lose an upgrade.
					if short := strings.TrimSuffix(s.path, "/"); short != "" {
						add(m, short, s.io)
					}
				}
				continue
			}
			name, err := namespaceOf(m.name, p.Path())
			if err != nil {
				wrong(m, err)
				continue
			}
			path := cmp.Or(p.Path(), s.path)
			h, err := p.Handler(s.io, name)
			if err != nil {
				wrong(m, fmt.Errorf("platform at %q: %w", path, err))
				continue
			}
			add(m, path, h)
		}
	}
	return errs
}

// register is mux.Handle with an error in place of a panic.
func (m mountpoint) register(mux *http.ServeMux) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it cannot be served: %v", v)
		}
	}()
	mux.Handle(m.pattern, m.handler)
	return nil
}

// namespaceOf makes what tells the namespace of a request: the name, or the pattern with what the path's wildcards stand for.
func namespaceOf(name, path string) (func(*http.Request) string, error) {
	if !strings.Contains(name, "{") {
		return func(*http.Request) string { return name }, nil
	}
	segments := strings.Split(name, "/")
	for _, s := range segments {
		if strings.HasPrefix(s, "{") && !strings.Contains(path, s) {
			return nil, fmt.Errorf("platform path %q has no wildcard %s, so that it does not tell which namespace to join: add it", path, s)
		}
	}
	return func(r *http.Request) string {
		made := slices.Clone(segments)
		for i, s := range made {
			if !strings.HasPrefix(s, "{") {
				continue
			}
			wildcard, rest := strings.CutSuffix(strings.Trim(s, "{}"), "...")
			made[i] = r.PathValue(wildcard)
			if !rest { // one segment stays one
				made[i] = strings.ReplaceAll(made[i], "/", "%2F")
			}
		}
		return strings.Join(made, "/")
	}, nil
}

// gate is what serves a path of a service, as far as the app lets anyone in.
type gate struct {
	service *service
	handler http.Handler
}

func (g gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch g.service.app.state.Load() {
	case made, starting:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the server is starting", http.StatusServiceUnavailable)
	default: // once stopped, the servers refuse what is new and answer what is not
		g.handler.ServeHTTP(w, r)
	}
}
