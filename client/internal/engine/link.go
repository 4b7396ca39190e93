package engine

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// linkBuffer is how much a write of a batch gathers.
const linkBuffer = 16 << 10

// link is the connection below a WebSocket, taken where the http.Client hands it over. It gathers writes, and it can be closed
// while somebody reads, writes or waits for the end of the closing handshake.
type link struct {
	io.ReadWriteCloser
	clock atomic.Pointer[clock] // goes while Read waits; nil if it is none of its business

	mu      sync.Mutex // of writing
	buf     *[]byte    // while writes are gathered
	written bool       // a part of what is gathered has left

	errMu   sync.Mutex
	err     error // the first one
	readErr error
}

var linkBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, linkBuffer)
	return &b
}}

// hold begins to gather.
func (l *link) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf, l.written = linkBuffers.Get().(*[]byte), false
}

// full reports whether a buffer's worth was written since hold.
func (l *link) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written
}

// flush writes what was gathered and gathers no more.
func (l *link) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.writeGathered()
	linkBuffers.Put(l.buf)
	l.buf = nil
	return err
}

func (l *link) writeGathered() error {
	if len(*l.buf) == 0 {
		return nil
	}
	_, err := l.ReadWriteCloser.Write(*l.buf)
	*l.buf = (*l.buf)[:0]
	return l.note(err)
}

func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf == nil {
		n, err := l.ReadWriteCloser.Write(p)
		return n, l.note(err)
	}
	if len(*l.buf)+len(p) > cap(*l.buf) {
		l.written = true
		if err := l.writeGathered(); err != nil {
			return 0, err
		}
		if len(p) > cap(*l.buf) {
			n, err := l.ReadWriteCloser.Write(p)
			return n, l.note(err)
		}
	}
	*l.buf = append(*l.buf, p...)
	return len(p), nil
}

func (l *link) Read(p []byte) (int, error) {
	if k := l.clock.Load(); k != nil {
		k.release()
		defer k.hold()
	}
	n, err := l.ReadWriteCloser.Read(p)
	if n > 0 {
		return n, nil // the next one returns it
	}
	if err != nil {
		l.errMu.Lock()
		l.readErr = err
		l.errMu.Unlock()
	}
	return 0, l.note(err)
}

// note keeps the first error: one that the connection had and not the protocol.
func (l *link) note(err error) error {
	if err != nil {
		l.errMu.Lock()
		if l.err == nil {
			l.err = err
		}
		l.errMu.Unlock()
	}
	return err
}

// broke is the error that reading has met.
func (l *link) broke() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return l.readErr
}

func (l *link) failed() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return l.err
}

// tap is a round tripper that puts a link below the WebSocket it opens.
type tap struct {
	base http.RoundTripper
	link *link
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		resp.Body.Close()
		return nil, errors.New("the transport of the http.Client cannot upgrade")
	}
	t.link = &link{ReadWriteCloser: rwc}
	resp.Body = t.link
	return resp, nil
}
