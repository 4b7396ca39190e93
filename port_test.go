package perch_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perch-go/perch"
)

// anyPort opens a free port in place of each one asked for and remembers which.
type anyPort map[string]net.Listener

func (p anyPort) listen(network, address string) (net.Listener, error) {
	if p[address] != nil {
		return nil, errors.New("address already in use")
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	p[address] = l
	return l, err
}

// at is where one is.
func (p anyPort) at(port string) string { return p[port].Addr().String() }

// Checks 7 and 17, N-4: a gateway with a port is served there, opened by Start, and
// not on the app's; gateways of one port share it, over TLS if one says so.
func TestOwnPort(t *testing.T) {
	t.Parallel()
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS()
	defer pair.Close()
	certified := &tls.Config{Certificates: pair.TLS.Certificates}

	ports := anyPort{}
	app, err := perch.New(quiet(), perch.WithListen(ports.listen), perch.WithGateways(
		handlers(answers),
		&gateway{options: perch.Options{Port: 81, Namespace: "events"}, register: answers},
		&gateway{options: perch.Options{Port: 444, TLS: certified}, register: answers},
		&gateway{options: perch.Options{Port: 444, Namespace: "more"}, register: answers},
	))
	if err != nil {
		t.Fatal(err)
	}
	shared, err := ports.listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(shared) }()

	url := func(scheme, port string) string { return scheme + "://" + ports[port].Addr().String() }
	for _, tt := range []struct {
		url, connect, want string
	}{
		{url("http", ":80"), "40", `40{`},
		{url("http", ":80"), "40/events,", `44/events,{"message":"Invalid namespace"}`},
		{url("http", ":81"), "40/events,", `40/events,{`},
		{url("https", ":444"), "40", `40{`},
		{url("https", ":444"), "40/more,", `40/more,{`},
		{url("https", ":444"), "40/events,", `44/events,{"message":"Invalid namespace"}`},
	} {
		c := dialURL(t, pair.Client(), tt.url)
		if got := c.ask(tt.connect); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s %s: got %s", tt.url, tt.connect, got)
		}
		c.drop()
	}
	if err := app.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := receive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	for port, l := range ports {
		if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Errorf("port %s is open after Shutdown", port)
		}
	}
}

// A port that cannot be opened ends Start, closes those that could, and is named.
func TestOwnPortTaken(t *testing.T) {
	t.Parallel()
	ports := anyPort{}
	app, err := perch.New(quiet(), perch.WithListen(ports.listen), perch.WithGateways(
		&gateway{options: perch.Options{Port: 81}},
		&hooked{gateway: gateway{options: perch.Options{Port: 82}}},
	))
	if err != nil {
		t.Fatal(err)
	}
	if ports[":82"], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ports[":82"].Close() }()
	err = app.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "*perch_test.hooked (namespace /): port 82 cannot be opened") {
		t.Errorf("got %v", err)
	}
	if _, err := net.Dial("tcp", ports[":81"].Addr().String()); err == nil {
		t.Error("port 81 was left open")
	}
}

// N-4: the app's port is the own port of a gateway.
func TestOwnPortIsTheApps(t *testing.T) {
	t.Parallel()
	app, err := perch.New(quiet(), perch.WithListen(anyPort{}.listen), perch.WithGateways(&gateway{options: perch.Options{Port: 81}}))
	if err != nil {
		t.Fatal(err)
	}
	err = app.ListenAndServe(":81")
	if err == nil || !strings.Contains(err.Error(), "own port of gateway *perch_test.gateway (namespace /), leave its Port zero") {
		t.Errorf("got %v", err)
	}
}
