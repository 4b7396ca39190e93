package perch_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio/adapter"
)

// madeWith is an app that opens its ports by listen.
func madeWith(t *testing.T, listen func(network, address string) (net.Listener, error), options ...perch.Option) *perch.App {
	t.Helper()
	app, err := perch.New(append([]perch.Option{quiet(), perch.WithListen(listen)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Shutdown(context.Background()) })
	return app
}

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, lines) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(j.lines, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// selfSigned makes a certificate for 127.0.0.1, and a client that trusts nothing else.
func selfSigned(t *testing.T) (*tls.Config, *http.Client) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	t.Cleanup(transport.CloseIdleConnections)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &http.Client{Transport: transport}
}

// #9547, #6512: a port of a gateway's own over TLS, for polling and WebSocket.
func TestOwnPortOverTLS(t *testing.T) {
	t.Parallel()
	certified, trusting := selfSigned(t)
	ports := anyPort{}
	app := madeWith(t, ports.listen, perch.WithGateways(&gateway{options: perch.Options{Port: 444, TLS: certified}, register: answers}))
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := ports[":444"].Addr().String()
	c := dialURL(t, trusting, "https://"+at)
	if got := c.ask("40"); !strings.HasPrefix(got, "40{") {
		t.Errorf("got %s", got)
	}
	if got := c.ask(`421["echo","secret"]`); got != `431["secret"]` {
		t.Errorf("got %s", got)
	}
	if got := get(t, trusting, "https://"+at+"/socket.io/?EIO=4&transport=polling"); !strings.HasPrefix(got, `200 0{"sid":`) {
		t.Errorf("polling: %s", got)
	}
	if got := get(t, http.DefaultClient, "http://"+at+"/socket.io/?EIO=4&transport=polling"); !strings.HasPrefix(got, "400 ") {
		t.Errorf("without TLS: %s", got)
	}
	if resp, err := http.Get("https://" + at); err == nil {
		_ = resp.Body.Close()
		t.Error("who does not trust the certificate connects")
	}
	c.drop()
}

// get is the status and the body of an answer.
func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

// N-8, checks 7 and 8: each path of each port has its gateways and no others.
func TestPathsOfPorts(t *testing.T) {
	t.Parallel()
	ports := anyPort{}
	places := []perch.Options{{}, {Path: "/realtime"}, {Port: 81}, {Port: 81, Path: "/realtime/"}, {Port: 81, Path: "deep/er"}}
	var gateways []perch.Gateway
	for _, o := range places {
		gateways = append(gateways, &gateway{options: o, register: func(r *perch.Router) {
			perch.On(r, "where", func(context.Context, perch.None) (string, error) { return fmt.Sprint(o.Port, o.Path), nil })
		}})
	}
	app := madeWith(t, ports.listen, perch.WithGateways(gateways...))
	shared, err := ports.listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(shared) }()
	for _, tt := range []struct{ port, path, want string }{
		{":80", "/socket.io/", "0"}, {":80", "/realtime/", "0/realtime"}, {":80", "/deep/er/", ""},
		{":81", "/socket.io/", "81"}, {":81", "/realtime/", "81/realtime/"}, {":81", "/deep/er/", "81deep/er"}, {":81", "/", ""},
	} {
		url := "http://" + ports.at(tt.port) + tt.path
		conn, resp, err := websocket.Dial(t.Context(), url+"?EIO=4&transport=websocket", nil)
		if tt.want == "" {
			if err == nil || resp == nil || resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s%s is served: %v", tt.port, tt.path, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s%s: %v", tt.port, tt.path, err)
			continue
		}
		c := &client{t, conn}
		c.next()
		c.send("40")
		c.next()
		if got := c.ask(`421["where"]`); got != `431["`+tt.want+`"]` {
			t.Errorf("%s%s is %s, want %s", tt.port, tt.path, got, tt.want)
		}
		c.drop()
	}
	if err := app.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := receive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// N-15 is changed: nothing listens before all AfterInit have returned, and nothing ever does if one fails.
func TestListensLast(t *testing.T) {
	t.Parallel()
	for _, failing := range []bool{false, true} {
		t.Run(fmt.Sprint("failing ", failing), func(t *testing.T) {
			t.Parallel()
			var book journal
			after := func(name string, fails bool, o perch.Options) *initial {
				g := &initial{gateway: gateway{options: o}}
				g.afterInit = func(*perch.Server) error {
					book.add("AfterInit %s", name)
					if fails {
						return errors.New("no database")
					}
					return nil
				}
				return g
			}
			ports := anyPort{}
			app := madeWith(t, func(network, address string) (net.Listener, error) {
				book.add("listen %s", address)
				return ports.listen(network, address)
			}, perch.WithAdapter(func(h adapter.Host) adapter.Adapter {
				return &noticed{adapter.NewMemory(h), func() { book.add("close %s", h.Name()) }}
			}), perch.WithGateways(
				after("a", false, perch.Options{Port: 81}),
				after("b", failing, perch.Options{}),
				after("c", false, perch.Options{Port: 81, Path: "/c"}),
			))
			mux := http.NewServeMux()
			app.Mount(mux)
			err := app.Start(t.Context())
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=none", nil))
			if !failing {
				if err != nil || w.Code != http.StatusBadRequest {
					t.Errorf("Start: %v, then status %d", err, w.Code)
				}
				book.want(t, "AfterInit a", "AfterInit b", "AfterInit c", "listen :81")
				return
			}
			if err == nil || !strings.Contains(err.Error(), "no database") || w.Code != http.StatusServiceUnavailable {
				t.Errorf("Start: %v, then status %d", err, w.Code)
			}
			if err := app.ListenAndServe(":82"); !errors.Is(err, perch.ErrStopped) {
				t.Errorf("ListenAndServe: %v", err)
			}
			book.want(t, "AfterInit a", "AfterInit b", "close /", "close /", "close /") // all three servers are
		})
	}
}

// N-4: whoever has the port already is named, or said to be somebody else, with the system's own error.
func TestPortsInUse(t *testing.T) {
	t.Parallel()
	listen := func(network, address string) (net.Listener, error) {
		_, port, _ := net.SplitHostPort(address)
		if port == "81" {
			port = "0"
		}
		return net.Listen(network, "127.0.0.1:"+port)
	}
	taken, err := listen("tcp", ":81")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port

	app := madeWith(t, listen, perch.WithGateways(&gateway{options: perch.Options{Port: port}}))
	var op *net.OpError
	err = app.Start(t.Context())
	if !errors.As(err, &op) || !strings.Contains(err.Error(), fmt.Sprintf("*perch_test.gateway (namespace /): port %d cannot be opened, choose another or stop who has it", port)) {
		t.Errorf("Start: %v", err)
	}
	app = madeWith(t, listen, perch.WithGateways(&gateway{options: perch.Options{Port: 81}}))
	err = app.ListenAndServe(taken.Addr().String())
	if !errors.As(err, &op) || strings.Contains(err.Error(), "gateway") {
		t.Errorf("ListenAndServe: %v", err)
	}
}

// N-6, N-7: what gateways of one port say is merged, and found to contradict, whatever their order.
func TestOrderOfGatewaysIsNoMatter(t *testing.T) {
	t.Parallel()
	certified, trusting := selfSigned(t)
	listed := &perch.CORS{Origins: []string{"https://a.example"}}
	sets := func() []perch.Gateway {
		return []perch.Gateway{
			&gateway{options: perch.Options{Port: 444, Namespace: "a"}},
			&gateway{options: perch.Options{Port: 444, Namespace: "b", CORS: listed}},
			&gateway{options: perch.Options{Port: 444, Path: "/c", TLS: certified}},
		}
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			ordered := func(all []perch.Gateway) perch.Option {
				return perch.WithGateways(all[order[0]], all[order[1]], all[order[2]])
			}
			ports := anyPort{}
			app := madeWith(t, ports.listen, ordered(sets()))
			if err := app.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]string{"/socket.io/": "https://a.example", "/c/": ""} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "https://"+ports.at(":444")+path+"?EIO=4&transport=polling", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Origin", "https://a.example")
				resp, err := trusting.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s lets in %q, want %q", path, got, want)
				}
			}
			if err := app.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}

			all := sets()
			all[0].(*gateway).options.CORS = &perch.CORS{}
			all[0].(*gateway).options.TLS = certified.Clone()
			_, err := perch.New(quiet(), ordered(all))
			for _, want := range []string{"CORS differs from that of", "TLS differs from that of", "(namespace /a)", "(namespace /b)", "(namespace /)"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}
