package perch

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/nspattern"
	"github.com/perch-go/perch/socketio"
)

// endpoint is where a server is reached. Gateways that agree on it share one (N-5,
// with the path normalised).
type endpoint struct {
	port int
	path string
}

// service is the Socket.IO server of one endpoint.
type service struct {
	endpoint
	app        *App
	gateways   []*member
	cors       *CORS
	io         *socketio.Server
	clustered  bool                  // there may be other processes
	namespaces map[string]*namespace // by name or pattern; complete once New has returned
	patterns   []*namespace          // of these, the narrower ones first

	mountpoints []mountpoint
}

// member is a gateway of the app.
type member struct {
	gateway  Gateway
	label    string // for errors and logs
	options  Options
	endpoint endpoint
	name     string // of its namespace, normalised
	pattern  nspattern.Pattern
	server   *Server
	routes   []*route

	connectionGuards []Guard
	filters          []Filter // of its hooks
}

// assembly is New at work: it collects what is wrong and goes on.
type assembly struct {
	settings settings
	members  []*member
	services []*service
	ports    []*port
	emitters []*Emitter // that it has claimed
	errs     []error
}

// port is a TCP port of the gateways' own.
type port struct {
	number   int
	tls      *tls.Config
	services []*service
}

func (a *assembly) wrong(m *member, format string, args ...any) {
	a.errs = append(a.errs, &GatewayError{Gateway: m.label, Err: fmt.Errorf(format, args...)})
}

// collect looks at each gateway by itself.
func (a *assembly) collect() {
	if len(a.settings.gateways) == 0 {
		a.errs = append(a.errs, errors.New("perch: the app has no gateway: pass some with WithGateways"))
	}
	for i, g := range a.settings.gateways {
		if g == nil {
			a.errs = append(a.errs, fmt.Errorf("perch: gateway %d of WithGateways is nil: pass what its constructor returns", i+1))
			continue
		}
		m := &member{gateway: g, label: reflect.TypeOf(g).String()}
		if err := checkIdentity(g); err != nil {
			a.wrong(m, "%w", err)
			continue
		}
		if a.duplicate(m) {
			continue
		}
		a.members = append(a.members, m)
		a.inspect(m)
	}
}

// duplicate refuses a gateway given twice, whose handlers would all run twice (N-12),
// and one whose Base is another's or another app's.
func (a *assembly) duplicate(m *member) bool {
	b, embeds := baseOf(m.gateway)
	for _, other := range a.members {
		if reflect.TypeOf(m.gateway).Kind() == reflect.Pointer && m.gateway == other.gateway {
			a.wrong(m, "the same instance is given twice: pass it once, or make a second one")
			return true
		}
		if ob, ok := baseOf(other.gateway); ok && embeds && b == ob {
			a.wrong(m, "it shares its perch.Base with %s: embed perch.Base by value in each", other.label)
			return true
		}
	}
	if embeds && b.server.place.Load() != nil {
		a.wrong(m, "it is part of another app already: make a second instance")
		return true
	}
	return false
}

// inspect calls the gateway's own methods and checks what they say.
func (a *assembly) inspect(m *member) {
	m.options = m.gateway.Options()
	m.name = normalNamespace(m.options.Namespace)
	m.endpoint = endpoint{m.options.Port, normalPath(m.options.Path)}
	m.label = fmt.Sprintf("%s (namespace %s)", m.label, m.name)
	if b, ok := baseOf(m.gateway); ok {
		m.server = &b.server
	} else {
		m.server = new(Server)
	}

	var err error
	if m.pattern, err = checkNamespace(m.name); err != nil {
		a.wrong(m, "namespace %q: %w", m.options.Namespace, err)
	}
	if err := checkPath(m.endpoint.path); err != nil {
		a.wrong(m, "path %q: %w", m.options.Path, err)
	}
	if p := m.options.Port; p < 0 || p > 65535 {
		a.wrong(m, "port %d: choose one from 1 to 65535, or 0 for the app's", p)
	}
	switch c := m.options.TLS; {
	case c == nil:
	case m.options.Port == 0:
		a.wrong(m, "TLS is set without a Port: set one, or leave TLS to whoever listens on the shared port")
	case len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil:
		a.wrong(m, "TLS has no certificate: set Certificates or GetCertificate")
	}
	for _, h := range []hook{initHook, connectionHook, disconnectHook} {
		if err := h.check(reflect.TypeOf(m.gateway)); err != nil {
			a.wrong(m, "%w", err)
		}
	}

	r := &Router{gateway: m.label, logger: a.settings.logger, wire: a.settings.wire}
	m.gateway.Register(r)
	r.finish(a.settings.enhancements, m)
	m.routes, m.connectionGuards = r.routes, r.scope.connectionGuards
	m.filters = chain([]enhancements{a.settings.enhancements, r.scope})
	a.errs = append(a.errs, r.errs...)
}

// group puts gateways of one endpoint, and endpoints of one port, together.
func (a *assembly) group() {
	owners := make(map[*service]*member) // who set the CORS
	keepers := make(map[*port]*member)   // who set the TLS
	for _, m := range a.members {
		s := a.service(m.endpoint)
		a.compare(m, s)
		s.gateways = append(s.gateways, m)
		if err := s.platform(m); err != nil {
			a.wrong(m, "%w", err)
		}
		switch c := m.options.CORS; {
		case c == nil:
		case s.cors == nil:
			s.cors, owners[s] = c, m
		case !sameCORS(c, s.cors):
			a.wrong(m, "its CORS differs from that of %s on the same port and path: set it in one of them, or the same in both", owners[s].label)
		}
		if m.endpoint.port == 0 {
			continue
		}
		p := a.port(m.endpoint.port)
		if !slices.Contains(p.services, s) {
			p.services = append(p.services, s)
		}
		switch c := m.options.TLS; {
		case c == nil:
		case p.tls == nil:
			p.tls, keepers[p] = c, m
		case p.tls != c:
			a.wrong(m, "its TLS differs from that of %s on the same port: set it in one of them, or the same *tls.Config in both", keepers[p].label)
		}
	}
}

// compare refuses a pattern that leaves it open which of two a namespace belongs to.
func (a *assembly) compare(m *member, s *service) {
	if m.pattern == nil {
		return
	}
	for _, other := range s.gateways {
		if other.pattern == nil || other.name == m.name {
			continue
		}
		switch nspattern.Compare(m.pattern, other.pattern) {
		case nspattern.Same:
			a.wrong(m, "its namespace stands for the same ones as that of %s: write both alike", other.label)
			return
		case nspattern.Crossing:
			a.wrong(m, "some names match its namespace and that of %s, and neither is the narrower: change one", other.label)
			return
		}
	}
}

func (a *assembly) service(at endpoint) *service {
	for _, s := range a.services {
		if s.endpoint == at {
			return s
		}
	}
	s := &service{endpoint: at, namespaces: make(map[string]*namespace)}
	a.services = append(a.services, s)
	return s
}

func (a *assembly) port(number int) *port {
	for _, p := range a.ports {
		if p.number == number {
			return p
		}
	}
	p := &port{number: number}
	a.ports = append(a.ports, p)
	return p
}

// build makes the servers, whose options are checked by those who know them.
func (a *assembly) build() {
	if a.settings.cors != nil && a.settings.engine.CORS != nil && !sameCORS(a.settings.cors, a.settings.engine.CORS) {
		a.errs = append(a.errs, errors.New("perch: WithCORS and WithEngine set different CORS: leave it out of WithEngine"))
	}
	muxes := make(map[int]*http.ServeMux) // by port
	for _, s := range a.services {
		o := socketio.Options{
			Engine:         a.settings.engine,
			ConnectTimeout: a.settings.connectTimeout,
			MaxAttachments: a.settings.maxAttachments,
			MaxNamespaces:  a.settings.maxNamespaces,
			Limits:         a.settings.limits,
			Parser:         a.settings.parser,
			Adapter:        a.settings.adapter,
			Recovery:       s.recovery(a.settings.recovery),
			Client:         a.settings.client,
			Logger:         a.settings.logger,
		}
		switch {
		case s.cors != nil:
			o.Engine.CORS = s.cors
		case a.settings.cors != nil:
			o.Engine.CORS = a.settings.cors
		}
		if o.Engine.Logger == nil {
			o.Engine.Logger = a.settings.logger
		}
		if a.settings.rate != nil {
			o.Limits.EventRate = *a.settings.rate
		}
		if a.settings.strict {
			o = o.Strict()
		}
		s.clustered = a.settings.adapter != nil
		var err error
		if s.io, err = socketio.New(o); err != nil {
			a.errs = append(a.errs, fmt.Errorf("perch: the server of %s: %w", s.gateways[0].label, err))
			continue
		}
		for _, m := range a.settings.middlewares {
			s.io.Engine().Use(m)
		}
		if muxes[s.port] == nil {
			muxes[s.port] = http.NewServeMux()
		}
		a.errs = append(a.errs, s.open(muxes[s.port])...)
	}
}

// recovery gives each server what it keeps a name of its own in the Store; that of the default path keeps the app's.
func (s *service) recovery(r *Recovery) *Recovery {
	if r == nil || s.endpoint == (endpoint{path: defaultPath}) {
		return r
	}
	own := *r
	own.Name += strconv.Itoa(s.port) + s.path
	return &own
}

// sameCORS compares as data: lists are sets, and a function is equal to nothing.
func sameCORS(a, b *CORS) bool {
	va, vb := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range va.NumField() {
		fa, fb := va.Field(i), vb.Field(i)
		switch {
		case fa.Kind() == reflect.Func:
			if !fa.IsNil() || !fb.IsNil() {
				return false
			}
		case fa.Type() == reflect.TypeFor[[]string]():
			if !slices.Equal(asSet(fa.Interface().([]string)), asSet(fb.Interface().([]string))) {
				return false
			}
		case !reflect.DeepEqual(fa.Interface(), fb.Interface()):
			return false
		}
	}
	return true
}

// asSet is a list of origins, methods or header names, none of which minds order or
// case.
func asSet(list []string) []string {
	set := make([]string, len(list))
	for i, s := range list {
		set[i] = strings.ToLower(s)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// normalNamespace adds the leading slash (N-9).
func normalNamespace(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return "/" + name
}

// checkNamespace returns the pattern if it is one.
func checkNamespace(name string) (nspattern.Pattern, error) {
	switch {
	case !utf8.ValidString(name):
		return nil, errors.New("it is not UTF-8: choose another name")
	case strings.ContainsAny(name, ",?#"):
		return nil, errors.New("a comma, ? or # would end it in a packet or an address: choose another name")
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return nil, errors.New("it contains white space: choose another name")
	case strings.ContainsAny(name, "{}"):
		return nspattern.Parse(name)
	}
	return nil, nil
}

// defaultPath is where every Socket.IO client looks.
const defaultPath = "/socket.io/"

// normalPath makes one spelling of those that mean one path, so that gateways meet
// whose authors spell differently (N-5).
func normalPath(p string) string {
	if p == "" {
		return defaultPath
	}
	if p = strings.Trim(p, "/"); p == "" {
		return "/"
	}
	return "/" + p + "/"
}

func checkPath(p string) error {
	switch {
	case strings.ContainsAny(p, "{}"):
		return errors.New("patterns are not supported: write out the path")
	case strings.ContainsAny(p, "?#%"), strings.ContainsFunc(p, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return errors.New("it is no plain path: leave out ?, #, % and white space")
	case p != "/" && path.Clean(p)+"/" != p:
		return errors.New("it has empty or dot segments: write it without")
	}
	return nil
}

// logRoutes says what is served where, as Nest does (N-47).
func logRoutes(l *slog.Logger, members []*member) {
	for _, m := range members {
		for _, r := range m.routes {
			var paths []string
			for _, p := range r.info.Platforms {
				paths = append(paths, cmp.Or(p.Path(), m.endpoint.path))
			}
			attrs := []any{"gateway", m.label, "event", r.info.Event, "path", strings.Join(paths, " ")}
			if m.endpoint.port != 0 {
				attrs = append(attrs, "port", m.endpoint.port)
			}
			l.Info("perch: subscribed", attrs...)
		}
	}
}
