package engineio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestReadBody(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("broken")
	const limit = 1000
	for _, tt := range []struct {
		name   string
		length int64
		body   io.Reader
		want   int
		err    error
	}{
		{"whole", 900, strings.NewReader(strings.Repeat("x", 900)), 900, nil},
		{"in pieces", 900, iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 900))), 900, nil},
		{"at the limit", limit, iotest.DataErrReader(strings.NewReader(strings.Repeat("x", limit))), limit, nil},
		{"nothing", 0, http.NoBody, 0, nil},
		{"of unknown length", -1, strings.NewReader(strings.Repeat("x", limit)), limit, nil},
		{"more than announced", 10, strings.NewReader(strings.Repeat("x", 900)), 900, nil},
		{"announced as too large", limit + 1, strings.NewReader("x"), 0, &http.MaxBytesError{}},
		{"too large", -1, strings.NewReader(strings.Repeat("x", limit+1)), 0, &http.MaxBytesError{}},
		{"more than announced, and too large", 10, strings.NewReader(strings.Repeat("x", limit+1)), 0, &http.MaxBytesError{}},
		{"broken", 900, io.MultiReader(strings.NewReader("xx"), iotest.ErrReader(errBroken)), 0, errBroken},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", tt.body)
		r.ContentLength = tt.length
		b := new(body)
		err := b.read(httptest.NewRecorder(), r, limit)
		if _, large := tt.err.(*http.MaxBytesError); tooLarge(err) != large || !large && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if err == nil && (len(b.b) != tt.want || strings.Trim(string(b.b), "x") != "") {
			t.Errorf("%s: %d bytes, want %d", tt.name, len(b.b), tt.want)
		}
	}
}

// Buffers are used again, each by one request at a time.
func TestBodiesAreApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	parallel(8, func(i int) {
		_, open, _ := f.do("GET", base, "")
		url := base + "&sid=" + openID(t, open)
		for n := range 50 {
			message := "4" + strings.Repeat(string(rune('a'+i)), 1+n*101)
			if _, got, _ := f.do("POST", url, message); got != "ok" {
				t.Errorf("post: %q", got)
			}
			if _, got, _ := f.do("GET", url, ""); got != message {
				t.Errorf("poll: %.20q of %d bytes, want %.20q of %d", got, len(got), message, len(message))
			}
		}
	})
}

// Deadlines end with the request that they are for, whatever comes next on its connection.
func TestDeadlinesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{PingInterval: time.Hour}, true)
		defer f.close()
		const late = 2 * max(DefaultAnswerTimeout, DefaultBodyTimeout)
		f.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/other" {
				f.server.ServeHTTP(w, r)
				return
			}
			<-time.After(late)
			_, _ = io.Copy(w, r.Body)
		})
		sid, _ := f.openPolling()
		conn, err := f.listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		read := func(want string) {
			t.Helper()
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(resp.Body); string(got) != want || err != nil {
				t.Errorf("answer %q, %v, want %q", got, err, want)
			}
		}
		session := "/engine.io/?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\nHost: x\r\n"
		large := "4" + strings.Repeat("x", 2*bufferedAnswer)
		for _, message := range []string{"4abc", large} {
			for _, step := range []struct{ head, body, want string }{
				{"POST " + session + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(message)), message, "ok"},
				{"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", "abc", "abc"},
				{"GET " + session + "\r\n", "", message},
				{"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", "abc", "abc"},
			} {
				if _, err := io.WriteString(conn, step.head); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(step.head, "/other") {
					<-time.After(late)
				}
				if _, err := io.WriteString(conn, step.body); err != nil {
					t.Fatal(err)
				}
				read(step.want)
			}
		}
	})
}

// Who waits for the end of a session may close its connections: the last answer has left by then.
func TestLastAnswerHasLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, false)
	defer f.close()
	sid, r := f.openPolling()
	r.session.Close(ReasonForcedClose)
	w := &flushed{ResponseRecorder: httptest.NewRecorder(), sessions: f.server.Sessions}
	f.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, base+"&sid="+sid, nil))
	if w.Body.String() != "6\x1e1" || w.then != 1 || f.server.Sessions() != 0 {
		t.Errorf("answer %q; sessions %d when it left and %d after it", w.Body, w.then, f.server.Sessions())
	}
}

// flushed is a ResponseWriter that looks how many sessions there are when it is flushed.
type flushed struct {
	*httptest.ResponseRecorder
	sessions func() int
	then     int
}

func (w *flushed) Flush() { w.then = w.sessions() }

// An answer is not held up by what a middleware does after it.
func TestAnswerBeforeMiddlewareEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, _ := f.openPolling()
	read := make(chan struct{})
	defer close(read)
	f.server.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			<-read
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, step := range []struct{ method, body, want string }{{"POST", "4abc", "ok"}, {"GET", "", "4abc"}} {
		req, err := http.NewRequestWithContext(ctx, step.method, base+"&sid="+sid, strings.NewReader(step.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != step.want || err != nil {
			t.Errorf("%s: %q, %v", step.method, got, err)
		}
		read <- struct{}{}
	}
}

// What answers have in common is not to be changed through one of them.
func TestConstantHeaders(t *testing.T) {
	t.Parallel()
	spoil := func(h http.Header) {
		for _, values := range h {
			for i := range values {
				values[i] = "spoilt"
			}
		}
	}
	for name, o := range map[string]Options{
		"hook":       {Headers: func(h http.Header, _ *http.Request) { spoil(h) }},
		"middleware": {},
	} {
		f := newFixture(t, o, true)
		if name == "middleware" {
			f.server.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(w, r)
					spoil(w.Header())
				})
			})
		}
		sid, _ := f.openPolling()
		f.do("POST", base+"&sid="+sid, "4abc")
		f.close()
		if payloadType[0] != "text/plain; charset=UTF-8" || htmlType[0] != "text/html" || noStore[0] != "no-store" || noSniff[0] != "nosniff" {
			t.Errorf("%s: %q, %q, %q, %q", name, payloadType, htmlType, noStore, noSniff)
		}
	}
}
