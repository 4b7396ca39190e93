package socketio_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
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

// S-2: the files are compressed as the client accepts it. Each coding has its strong tag, whose weak
// form is accepted too.
func TestClientFileCompression(t *testing.T) {
	t.Parallel()
	script := []byte(strings.Repeat("export const perch = 1;\n", 500))
	files := fstest.MapFS{"socket.io.js": {Data: script}, "socket.io.min.js": {Data: []byte("short")}}
	s, err := socketio.New(socketio.Options{Client: files})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(t.Context()) }()
	get := func(method, name, accept, tag string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), method, "/socket.io/"+name, nil)
		r.Header.Set("Accept-Encoding", accept)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Result()
	}
	tags := map[string]string{}
	for accept, want := range map[string]string{
		"gzip, deflate, br": "gzip", "deflate": "deflate", "gzip;q=0, *": "deflate", "br": "", "identity": "", "": "",
	} {
		for range 2 { // the second time from memory
			resp := get("GET", "socket.io.js", accept, "")
			h := resp.Header
			if resp.StatusCode != 200 || h.Get("Content-Encoding") != want || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Type") != "text/javascript; charset=utf-8" {
				t.Errorf("%q: %s %v", accept, resp.Status, h)
			}
			var plain io.Reader = resp.Body
			switch want {
			case "gzip":
				plain, err = gzip.NewReader(plain)
			case "deflate":
				plain, err = zlib.NewReader(plain)
			}
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(plain); err != nil || !bytes.Equal(body, script) {
				t.Errorf("%q: %d bytes, %v", accept, len(body), err)
			}
			tag := h.Get("ETag")
			if before := tags[want]; !strings.HasPrefix(tag, `"`) || before != "" && before != tag {
				t.Errorf("%q: tag %s", accept, tag)
			}
			tags[want] = tag
			for _, known := range []string{tag, "W/" + tag, `"other", W/` + tag} {
				if resp := get("GET", "socket.io.js", accept, known); resp.StatusCode != 304 || resp.Header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%q, %s: %s %v", accept, known, resp.Status, resp.Header)
				}
			}
		}
	}
	if len(tags) != 3 || tags["gzip"] == tags["deflate"] || tags["gzip"] == tags[""] {
		t.Errorf("tags %v", tags)
	}
	if resp := get("GET", "socket.io.min.js", "gzip", ""); resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("a short file: %v", resp.Header)
	}
	if resp := get("HEAD", "socket.io.js", "gzip", ""); resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("HEAD: %s %v", resp.Status, resp.Header)
	}
	// What is served is what the directory holds now.
	files["socket.io.js"] = &fstest.MapFile{Data: append(script, "// changed"...)}
	if resp := get("GET", "socket.io.js", "gzip", tags["gzip"]); resp.StatusCode != 200 || resp.Header.Get("ETag") == tags["gzip"] {
		t.Errorf("changed: %s %v", resp.Status, resp.Header)
	}
	// Other names are the engine's.
	if resp := get("GET", "socket.io.css", "gzip", ""); resp.StatusCode != 400 {
		t.Errorf("another name: %s", resp.Status)
	}
}
