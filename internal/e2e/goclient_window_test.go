package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// window is an HTTP proxy in front of a server that shows what clients request. It is safe for concurrent use.
type window struct {
	web *httptest.Server
	tls *tls.Config // for clients, if it is secure

	mu     sync.Mutex
	seen   []*http.Request // bodies are gone
	refuse func(r *http.Request) bool
}

// startWindow opens a window to the server at target until the test ends. refuse, if it is not nil, says what does not get
// through.
func startWindow(t *testing.T, target string, secure bool, refuse func(*http.Request) bool) *window {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	win := &window{refuse: refuse}
	win.web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !win.note(r) {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	win.tls = begin(win.web, secure)
	t.Cleanup(func() {
		win.web.CloseClientConnections()
		win.web.Close()
		transport.CloseIdleConnections()
	})
	return win
}

// note keeps a request and reports whether it gets through.
func (w *window) note(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := r.Clone(r.Context())
	kept.Body = nil
	w.seen = append(w.seen, kept)
	return w.refuse == nil || !w.refuse(r)
}

// requests are those so far that are of one transport, or all.
func (w *window) requests(transport string) (list []*http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.seen {
		if transport == "" || r.URL.Query().Get("transport") == transport {
			list = append(list, r)
		}
	}
	return list
}

func isUpgrade(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }

// join passes what each of two connections says to the other, until one ends.
func join(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(a, b)
		_, _ = a.Close(), b.Close()
		close(done)
	}()
	_, _ = io.Copy(b, a)
	_, _ = a.Close(), b.Close()
	<-done
}
