package perch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Mount registers the paths of the gateways that have no port of their own on mux,
// which keeps every other path. Until the app is started they answer 503. Like
// mux.Handle it panics if mux has one of the paths already.
func (a *App) Mount(mux *http.ServeMux) {
	for _, s := range a.services {
		if s.port == 0 {
			s.mount(mux)
		}
	}
}

func (s *service) mount(mux *http.ServeMux) {
	for _, at := range s.mountpoints {
		mux.Handle(at.pattern, at.handler)
	}
}

// ListenAndServe starts the app, if that was not done yet, and serves it on the TCP
// address until Shutdown. It returns http.ErrServerClosed after Shutdown has finished,
// and any other error at once.
func (a *App) ListenAndServe(addr string) error {
	if err := a.Start(context.Background()); err != nil && !errors.Is(err, ErrStarted) {
		return err
	}
	l, err := a.listen("tcp", addr)
	if err != nil {
		return errors.Join(a.explain(addr, err), a.Shutdown(context.Background()))
	}
	return a.Serve(l)
}

// explain adds to an error of listening what only the app knows: that the address is
// taken by one of its own gateways (N-4).
func (a *App) explain(addr string, err error) error {
	if _, p, e := net.SplitHostPort(addr); e == nil {
		for _, own := range a.ports {
			if p == strconv.Itoa(own.number) {
				return fmt.Errorf("perch: port %s is the own port of gateway %s, leave its Port zero to share the app's: %w",
					p, own.services[0].gateways[0].label, err)
			}
		}
	}
	return fmt.Errorf("perch: %w", err)
}

// Serve is ListenAndServe on a listener that is open already. It closes the listener.
func (a *App) Serve(l net.Listener) error {
	if err := a.Start(context.Background()); err != nil && !errors.Is(err, ErrStarted) {
		_ = l.Close()
		return err
	}
	mux := http.NewServeMux()
	a.Mount(mux)
	return a.serve(l, mux)
}

// serve runs a server that Shutdown knows of.
func (a *App) serve(l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h,
		// Bodies and long polls are given their deadlines by the engine, request by
		// request.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // of a request that is not for the engine, such as one for the client's files
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    a.headerBytes,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelWarn),
	}
	a.mu.Lock()
	if a.stopping != nil {
		a.mu.Unlock()
		_ = l.Close()
		return http.ErrServerClosed
	}
	a.servers = append(a.servers, srv)
	a.mu.Unlock()

	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		a.mu.Lock()
		stopping := a.stopping
		a.mu.Unlock()
		<-stopping
	}
	return err
}

// openPorts listens on every port of the gateways' own, and serves only if all could
// be opened.
func (a *App) openPorts() error {
	listeners := make([]net.Listener, 0, len(a.ports))
	for _, p := range a.ports {
		l, err := a.listen("tcp", ":"+strconv.Itoa(p.number))
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return &GatewayError{
				Gateway: p.services[0].gateways[0].label,
				Err:     fmt.Errorf("port %d cannot be opened, choose another or stop who has it: %w", p.number, err),
			}
		}
		if p.tls != nil {
			l = tls.NewListener(l, p.tls)
		}
		listeners = append(listeners, l)
	}
	for i, p := range a.ports {
		mux := http.NewServeMux()
		for _, s := range p.services {
			s.mount(mux)
		}
		go func() {
			if err := a.serve(listeners[i], mux); !errors.Is(err, http.ErrServerClosed) {
				a.logger.Error("perch: a gateway's own port stopped serving", "port", p.number, "error", err)
			}
		}()
	}
	return nil
}

// closeServers ends listening, and what the gateways' servers have left open.
func (a *App) closeServers(ctx context.Context) error {
	a.mu.Lock()
	servers := a.servers
	a.mu.Unlock()
	var errs []error
	for _, srv := range servers {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, err, srv.Close())
		}
	}
	return errors.Join(errs...)
}
