package socketio_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// S-2: the client's files come from the directory given, what it lacks from the CDN;
// any other name is the engine's.
func TestClientFiles(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"socket.io.esm.min.js":     {Data: []byte("export {}")},
		"socket.io.esm.min.js.map": {Data: []byte("{}")},
		"package.json":             {Data: []byte("secret")},
	}
	const cdn = "https://cdn.socket.io/" + socketio.ClientVersion + "/"
	tests := []struct {
		name   string
		o      socketio.Options
		method string
		path   string
		header http.Header
		status int
		want   http.Header // of the answer; no value: none
		body   string
	}{
		{"file", socketio.Options{Client: files}, "GET", "/socket.io/socket.io.esm.min.js", nil, 200, http.Header{
			"Content-Type":                {"text/javascript; charset=utf-8"},
			"Cache-Control":               {"public, max-age=0"},
			"Access-Control-Allow-Origin": {},
		}, "export {}"},
		{"map", socketio.Options{Client: files}, "GET", "/socket.io/socket.io.esm.min.js.map", nil, 200,
			http.Header{"Content-Type": {"application/json; charset=utf-8"}}, "{}"},
		{"head", socketio.Options{Client: files}, "HEAD", "/socket.io/socket.io.esm.min.js", nil, 200,
			http.Header{"Content-Length": {"9"}}, ""},
		{"under another path", socketio.Options{Client: files}, "GET", "/live/socket.io.esm.min.js", nil, 200, nil, "export {}"},
		{"the directory lacks it", socketio.Options{Client: files}, "GET", "/socket.io/socket.io.min.js", nil, 307,
			http.Header{"Location": {cdn + "socket.io.min.js"}}, ""},
		{"no directory", socketio.Options{}, "GET", "/socket.io/socket.io.esm.min.js", nil, 307,
			http.Header{"Location": {cdn + "socket.io.esm.min.js"}}, ""},
		{"a file that is not the client's", socketio.Options{Client: files}, "GET", "/socket.io/package.json", nil, 400, nil, ""},
		{"a way out of the directory", socketio.Options{Client: files}, "GET", "/socket.io/..%2fsocket.io.js", nil, 307, nil, ""},
		{"no client", socketio.Options{Client: files, NoClient: true}, "GET", "/socket.io/socket.io.esm.min.js", nil, 400, nil, ""},
		{"another method", socketio.Options{Client: files}, "POST", "/socket.io/socket.io.esm.min.js", nil, 405,
			http.Header{"Allow": {"GET, HEAD"}}, ""},
		{"CORS, file", socketio.Options{Client: files, Engine: engineio.Options{CORS: &engineio.CORS{Origins: []string{"*"}}}},
			"GET", "/socket.io/socket.io.esm.min.js", http.Header{"Origin": {"https://a.example"}}, 200,
			http.Header{"Access-Control-Allow-Origin": {"*"}}, "export {}"},
		{"CORS, redirect", socketio.Options{Engine: engineio.Options{CORS: &engineio.CORS{Origins: []string{"https://a.example"}}}},
			"GET", "/socket.io/socket.io.esm.min.js", http.Header{"Origin": {"https://a.example"}}, 307,
			http.Header{"Access-Control-Allow-Origin": {"https://a.example"}, "Vary": {"Origin"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := socketio.New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Shutdown(t.Context()) }()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			r.Header = tt.header
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			resp := w.Result()
			if resp.StatusCode != tt.status {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
			for name, want := range tt.want {
				if got := resp.Header.Values(name); strings.Join(got, "|") != strings.Join(want, "|") {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if body, _ := io.ReadAll(resp.Body); tt.body != "" && string(body) != tt.body {
				t.Errorf("body %q, want %q", body, tt.body)
			}
		})
	}
}

// S-2: the tag, its weak form too, saves the second transfer, and changes with the
// content.
func TestClientFileTag(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"socket.io.js": {Data: []byte("one")}, "socket.io.min.js": {Data: []byte("two")}}
	s, err := socketio.New(socketio.Options{Client: files})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(t.Context()) }()
	get := func(name, tag string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/socket.io/"+name, nil)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Result()
	}
	tag := get("socket.io.js", "").Header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || tag == get("socket.io.min.js", "").Header.Get("ETag") {
		t.Errorf("tag %s", tag)
	}
	for tag, want := range map[string]int{tag: 304, "W/" + tag: 304, `"other"`: 200} {
		if got := get("socket.io.js", tag).StatusCode; got != want {
			t.Errorf("%s: %d, want %d", tag, got, want)
		}
	}
}

func TestCheckClientBundle(t *testing.T) {
	t.Parallel()
	if err := socketio.CheckClientBundle(fstest.MapFS{"socket.io.esm.min.js": {}}); err != nil {
		t.Error(err)
	}
	if err := socketio.CheckClientBundle(fstest.MapFS{}); err == nil {
		t.Error("an empty directory will do")
	}
}
