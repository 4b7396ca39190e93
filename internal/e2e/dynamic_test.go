package e2e

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio"
)

// Namespaces that clients have made, on our server and on the reference server: dynamic.test.mjs.
func TestDynamicNamespaces(t *testing.T) {
	suite(t, "dynamic.test.mjs", map[string]string{
		"PERCH_LAB_URL": startLabWith(t, socketio.Options{}, dynamic),
	})
}

// dynamic adds what dynamic.test.mjs expects.
func dynamic(t *testing.T, srv *socketio.Server) {
	t.Helper()
	rooms, err := srv.OfPattern("/room/{id}")
	if err != nil {
		t.Fatal(err)
	}
	numbers := srv.OfRegexp(regexp.MustCompile(`^/dyn-\d+$`))
	late := srv.OfRegexp(regexp.MustCompile(`^/dyn-`))
	tenants := srv.OfFunc(func(_ context.Context, name string, h *socketio.Handshake) error {
		var auth clientAuth
		if err := h.DecodeAuth(&auth); err != nil || auth.Token != "secret" || !strings.HasPrefix(name, "/tenant-") {
			return errors.New("not a tenant")
		}
		return nil
	})
	for kind, p := range map[string]*socketio.ParentNamespace{"room": rooms, "number": numbers, "late": late, "tenant": tenants} {
		p.Use(func(_ context.Context, s *socketio.Socket) error {
			if strings.HasSuffix(s.Namespace().Name(), "closed") {
				return &socketio.ConnectError{Message: "closed", Data: map[string]any{"kind": kind}}
			}
			return nil
		})
		p.OnConnection(func(_ context.Context, s *socketio.Socket) error {
			return s.Emit("welcome", kind, s.Namespace().Name())
		})
		p.Handle("shout", func(_ context.Context, e *socketio.Event) {
			_ = e.Socket().Namespace().Emit("heard", arg[any](e, 0))
		})
		p.Handle("everywhere", func(_ context.Context, e *socketio.Event) { _ = p.Emit("heard", arg[any](e, 0)) })
		p.Handle("to", func(_ context.Context, e *socketio.Event) { _ = p.To(arg[string](e, 0)).Emit("heard", arg[any](e, 1)) })
		p.Handle("join", func(_ context.Context, e *socketio.Event) { _ = e.Ack(e.Socket().Join(arg[string](e, 0))) })
	}
	srv.Of("/census").Handle("namespaces", func(_ context.Context, e *socketio.Event) {
		names := []string{}
		for _, p := range []*socketio.ParentNamespace{rooms, numbers, late, tenants} {
			for n := range p.Children() {
				names = append(names, n.Name())
			}
		}
		slices.Sort(names)
		_ = e.Ack(names)
	})
}
