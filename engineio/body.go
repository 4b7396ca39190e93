package engineio

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

const (
	// announcedBody is the most that is made ready for a body because of its announced length alone.
	announcedBody = 64 << 10
	// bufferedAnswer is the size up to which net/http buffers a whole answer and finds its length by itself.
	bufferedAnswer = 2 << 10
	// keepBody is the largest buffer that goes back to the pool.
	keepBody = 64 << 10
)

// body is the bytes of a request or of an answer, for as long as that takes.
type body struct{ b []byte }

var bodies = sync.Pool{New: func() any { return new(body) }}

func (b *body) release() {
	if cap(b.b) > keepBody {
		return
	}
	b.b = b.b[:0]
	bodies.Put(b)
}

// read reads what a request brings, up to a limit; beyond that it returns an *http.MaxBytesError.
func (b *body) read(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	src := r.Body
	if r.ContentLength < 0 {
		src = http.MaxBytesReader(w, src, limit) // which also tells the server to close the connection
	}
	// Not more in advance than a connection may cost: the length is only announced. One more than there is, and
	// the end is found in one read.
	b.b = slices.Grow(b.b[:0], int(min(max(r.ContentLength, 0), announcedBody))+1)
	for {
		if len(b.b) == cap(b.b) {
			b.b = slices.Grow(b.b, 1)
		}
		n, err := src.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		switch {
		case int64(len(b.b)) > limit: // a middleware has made more of it than was announced
			return &http.MaxBytesError{Limit: limit}
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func tooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// What stands in nearly every answer. Nobody may write into it.
var (
	payloadType = []string{"text/plain; charset=UTF-8"}
	htmlType    = []string{"text/html"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	okAnswer    = []byte("ok")
)

// setConstants sets the headers that answers to polls and posts have in common.
func (s *Server) setConstants(h http.Header, contentType []string) {
	noStore, noSniff := noStore, noSniff
	if s.opts.Headers != nil || s.chain.Load() != nil { // who may change values in place
		contentType, noStore, noSniff = slices.Clone(contentType), slices.Clone(noStore), slices.Clone(noSniff)
	}
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = contentType, noStore, noSniff
}

// writeAnswer writes the answer to a poll or a post, which has its other headers. A small one leaves in one piece when the
// handler returns; should that fail, the heartbeat finds out. It leaves at once if it is large, so that it counts in
// the budget for as long, if a middleware could hold it up, or if that is asked for.
func (s *Server) writeAnswer(w http.ResponseWriter, r *http.Request, control *http.ResponseController, answer []byte, atOnce bool) error {
	atOnce = atOnce || len(answer) > bufferedAnswer || s.chain.Load() != nil
	h := w.Header()
	if atOnce {
		h.Set("Content-Length", strconv.Itoa(len(answer)))
	}
	s.setHeaders(h, r)
	_, err := w.Write(answer)
	if !atOnce {
		return err
	}
	if flushErr := control.Flush(); err == nil && !errors.Is(flushErr, http.ErrNotSupported) {
		err = flushErr
	}
	return err
}
