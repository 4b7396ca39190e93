package e2e

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/client"
)

// elsewhere dials the server whatever the URL says, and notes what it said.
func elsewhere(v *visit, dialled *record) func(*client.Options) {
	address := strings.TrimPrefix(v.at("plain"), "http://")
	return func(o *client.Options) {
		o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialled.add(addr)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}
}

// named is a case of a URL that leads to the server: whom it dials, and the namespace.
func named(name, url, address, namespace string) goCase {
	return goCase{name, func(v *visit) {
		dialled := new(record)
		s := v.dial(url, elsewhere(v, dialled))
		v.want("dialled", dialled.all()[0], any(address))
		v.want("namespace", []any{s.Namespace(), v.ask(s, "state")[0].(map[string]any)["namespace"]}, []any{namespace, namespace})
		host, _, _ := strings.Cut(strings.SplitN(url, "//", 2)[1], "/")
		v.want("Host", v.ask(s, "header", "host"), []any{host})
	}}
}

// invalid is a case of URLs that lead nowhere, which is an error at once.
func invalid(name string, urls ...string) goCase {
	return goCase{name, func(v *visit) {
		for _, raw := range urls {
			if s, err := client.Dial(v.soon(), raw, v.options()); err == nil || s != nil {
				v.Errorf("Dial(%q) = %v, %v", raw, s, err)
			}
			if m, err := client.NewManager(v.always(), raw, v.options()); err == nil || m != nil {
				v.Errorf("NewManager(%q) = %v, %v", raw, m, err)
			}
		}
	}}
}

// urlCases: what a URL means.
var urlCases = []goCase{
	named("url: http has port 80 (C-1)", "http://perch.example", "perch.example:80", "/"),
	named("url: ws is http (C-1)", "ws://perch.example", "perch.example:80", "/"),
	named("url: a port (C-1)", "http://perch.example:8080", "perch.example:8080", "/"),
	named("url: an IPv4 address (C-1)", "http://127.0.0.1:81/", "127.0.0.1:81", "/"),
	named("url: an IPv6 address (C-1)", "http://[::1]:81/one", "[::1]:81", "/one"),
	named("url: an IPv6 address without port (C-1)", "ws://[::1]/one", "[::1]:80", "/one"),
	named("url: the path is the namespace (C-1)", "http://perch.example/two", "perch.example:80", "/two"),
	named("url: a long name of a namespace (C-1)", "http://perch.example/number-1234567890", "perch.example:80", "/number-1234567890"),
	{"url: https and wss have port 443, and TLS (C-1, C-5)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), true, nil)
		for _, scheme := range []string{"https", "wss"} {
			dialled := new(record)
			web := &http.Transport{
				TLSClientConfig: w.tls,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialled.add(addr)
					return new(net.Dialer).DialContext(ctx, network, w.web.Listener.Addr().String())
				},
			}
			v.Cleanup(web.CloseIdleConnections)
			s := v.dial(scheme+"://example.com/one", func(o *client.Options) { o.HTTPClient = &http.Client{Transport: web} })
			v.want("dialled", dialled.all()[0], any("example.com:443"))
			v.want("namespace", v.ask(s, "state")[0].(map[string]any)["namespace"], any("/one"))
			_ = s.Close()
		}
	}},
	{"url: a certificate that nobody vouches for is refused (C-5)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), true, nil)
		s := v.socket(w.web.URL, func(o *client.Options) { o.NoReconnection = true })
		if err := s.Connect(v.soon()); err == nil || !strings.Contains(err.Error(), "certificate") {
			v.Errorf("Connect: %v", err)
		}
		v.want("requests", len(w.requests("")), 0)
	}},
	{"url: a certificate of the client's own is shown (C-5)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), true, nil)
		config := w.tls.Clone()
		var asked atomic.Bool
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked.Store(true)
			return &w.web.TLS.Certificates[0], nil
		}
		w.web.TLS.ClientAuth = tls.RequireAnyClientCert
		web := &http.Transport{TLSClientConfig: config}
		v.Cleanup(web.CloseIdleConnections)
		s := v.dial(w.web.URL, func(o *client.Options) { o.HTTPClient = &http.Client{Transport: web} })
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		v.want("asked", asked.Load(), true)
	}},
	{"url: the query goes to the server, the options' too (C-1, C-2)", func(v *visit) {
		s := v.dial(v.at("plain")+"/one?a=1&b=x%26y%20z&team=url", func(o *client.Options) {
			o.Query.Set("c", "€ /?=&+%")
			o.Query.Set("team", "options")
		})
		query := v.ask(s, "handshake")[0].(map[string]any)["query"].(map[string]any)
		v.want("query", []any{query["a"], query["b"], query["c"], query["team"]}, []any{"1", "x&y z", "€ /?=&+%", "options"})
		v.want("namespace", s.Namespace(), "/one")
	}},
	{"url: every namespace of a manager has its query (C-2)", func(v *visit) {
		m := v.manager(v.at("plain") + "?from=manager")
		for _, name := range []string{"/", "/one"} {
			s := v.of(m, name)
			v.connect(s)
			v.want(name, v.ask(s, "handshake")[0].(map[string]any)["query"].(map[string]any)["from"], any("manager"))
		}
	}},
	{"url: a name without slash is a namespace's too (C-1)", func(v *visit) {
		s := v.of(v.manager(v.at("plain")), "one")
		v.connect(s)
		v.want("namespace", s.Namespace(), "/one")
		v.want("state", v.ask(s, "state")[0].(map[string]any)["namespace"], any("/one"))
	}},
	{"url: the default path is socket.io (C-2)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		v.dial(w.web.URL + "/one")
		for _, r := range w.requests("") {
			v.want("path", r.URL.Path, "/socket.io/")
		}
	}},
	{"url: another path (C-2)", func(v *visit) {
		for _, path := range []string{"/else/where", "/else/where/"} {
			w := startWindow(v.T, v.at("elsewhere"), false, nil)
			s := v.dial(w.web.URL+"/one", func(o *client.Options) { o.Path = path })
			v.want("path", []any{w.requests("")[0].URL.Path, v.ask(s, "handshake")[0].(map[string]any)["path"]}, []any{"/else/where/", "/else/where/"})
		}
	}},
	{"url: a path without its last slash (C-2)", func(v *visit) {
		w := startWindow(v.T, v.at("slashless"), false, nil)
		s := v.dial(w.web.URL, func(o *client.Options) { o.Path, o.NoTrailingSlash = "/socket.io", true })
		v.want("path", w.requests("")[0].URL.Path, "/socket.io")
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"url: a path that nobody serves is an error (C-11)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.Path, o.NoReconnection = "/nothing/here", true })
		if err := s.Connect(v.soon()); err == nil {
			v.Error("it connected")
		}
		v.want("active", s.Active(), false)
	}},
	invalid("url: a scheme that is none of ours (C-1)", "ftp://host", "httpx://host", "file:///socket.io", "mailto:a@b"),
	invalid("url: no scheme (C-1)", "", "host", "host:80", "localhost:3000", "//host/chat", "/chat", "127.0.0.1:80"),
	invalid("url: no host (C-1)", "http://", "http:///chat", "ws://:80", "http:host"),
	invalid("url: malformed (C-1)", "http://host:port", "http://[::1", "http://host/%zz", "http://ho st", "http://host?a=%zz"),
	{"url: a proxy of the user's is used for everything (C-5)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		proxy, err := url.Parse(w.web.URL)
		if err != nil {
			v.Fatal(err)
		}
		web := &http.Transport{Proxy: http.ProxyURL(proxy)}
		v.Cleanup(web.CloseIdleConnections)
		s := v.dial("http://perch.example/one", func(o *client.Options) { o.HTTPClient = &http.Client{Transport: web} })
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		eventually(v.T, "on the last transport", func() bool {
			return s.Manager().Transport() == goWays[v.way][len(goWays[v.way])-1]
		})
		for _, r := range w.requests("") {
			v.want("Host", r.Host, "perch.example")
		}
	}},
	{"url: an in-memory pipe needs no port (C-7)", func(v *visit) {
		// Both ends of the pipes are the test's own: one is the client's, the other is joined with the server.
		address := strings.TrimPrefix(v.at("plain"), "http://")
		var joined sync.WaitGroup
		v.Cleanup(joined.Wait)
		s := v.dial("http://nowhere.invalid", func(o *client.Options) {
			o.DialContext = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				server, err := net.Dial("tcp", address)
				if err != nil {
					return nil, err
				}
				joined.Go(func() { join(ours, server) })
				return theirs, nil
			}
		})
		v.want("echo", v.ask(s, "echo", []byte{1}), []any{[]byte{1}})
	}},
}
