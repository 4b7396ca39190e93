package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"unicode/utf8"
)

const (
	// maxPost is the largest body of a POST with more than one packet. It is what the reference's servers accept unless told
	// otherwise, and those that do not announce a limit have that one too.
	maxPost = 1_000_000
	// maxPosted is how much of the answer to a POST is read, so that its connection can be used again.
	maxPosted = 64 << 10
)

var (
	errBodyTooLarge   = errors.New("engine: the answer to a poll is larger than MaxPayload")
	errBodyNotUTF8    = errors.New("engine: the answer to a poll is not UTF-8")
	errEmptyAnswer    = errors.New("engine: the answer to a poll is empty")
	errRepeated       = errors.New("engine: the connection broke before the answer came")
	errRequestTimeout = fmt.Errorf("engine: a request was not answered within RequestTimeout: %w", os.ErrDeadlineExceeded)
)

// openPolling makes the request whose answer has the open packet.
func (c *Conn) openPolling(ctx context.Context) error {
	b, err := c.request(ctx, http.MethodGet, nil)
	if err != nil {
		return err
	}
	defer giveBuffer(b)
	text, rest, more := cutPayload(*b)
	if c.opening, err = decodeOpen(text); err != nil {
		return err
	}
	if more {
		c.rest = bytes.Clone(rest)
	}
	return nil
}

// request makes a GET, and the caller gives the buffer with its answer back, or a POST. An answer other than 200 is a
// *HandshakeError.
func (c *Conn) request(ctx context.Context, method string, body []byte) (answer *[]byte, err error) {
	outer := ctx
	if d := c.config.RequestTimeout; d > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, d, errRequestTimeout)
		defer cancel()
		defer func() {
			if err != nil && outer.Err() == nil && limited.Err() != nil {
				err = errRequestTimeout
			}
		}()
		ctx = limited
	}
	if c.id != "" {
		var cancel context.CancelFunc
		ctx, cancel = unrepeated(ctx)
		defer cancel()
	}
	var content io.Reader
	if method == http.MethodPost {
		content = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.config.address(Polling, c.id, c.stamp.Add(1)), content)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", withoutURL(err))
	}
	r.Header = c.config.header(Polling)
	r.Host = r.Header.Get("Host") // empty: that of the URL
	r.Header.Set("Accept", "*/*")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("engine: %s: %w", method, withoutURL(err))
	}
	defer resp.Body.Close()
	if cause := context.Cause(ctx); errors.Is(cause, errRepeated) { // the answer was faster
		return nil, fmt.Errorf("engine: %s: %w", method, cause)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp.StatusCode, resp.Body)
	}
	if method == http.MethodPost {
		if _, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxPosted)); err != nil {
			return nil, fmt.Errorf("engine: %s: %w", method, err)
		}
		return nil, nil
	}
	b := takeBuffer()
	err = readInto(b, io.LimitReader(resp.Body, c.config.MaxPayload+1))
	switch {
	case err != nil:
		err = fmt.Errorf("engine: %s: %w", method, err)
	case int64(len(*b)) > c.config.MaxPayload:
		err = errBodyTooLarge
	default:
		return b, nil
	}
	giveBuffer(b)
	return nil, err
}

// unrepeated is for a request of an open session, which must not be sent twice. net/http does so by itself when a connection that it
// has used before breaks without an answer, with a GET, or whatever has an Idempotency-Key. But the server may have answered: what
// was in the lost answer to a poll would be missing and nobody would know, and what was posted would be there twice.
func unrepeated(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	var written atomic.Bool
	trace := &httptrace.ClientTrace{
		WroteHeaders:         func() { written.Store(true) },
		GotFirstResponseByte: func() { written.Store(false) }, // a redirect may follow
		GetConn: func(string) {
			if written.Load() {
				cancel(errRepeated)
			}
		},
	}
	return httptrace.WithClientTrace(ctx, trace), func() { cancel(nil) }
}

// refusedLater is err where the connection is open, and so no error of a handshake.
func refusedLater(method string, err error) error {
	if e, ok := errors.AsType[*HandshakeError](err); ok {
		return fmt.Errorf("engine: %s answered with %d %s: %s", method, e.Status, http.StatusText(e.Status), e.Message)
	}
	return err
}

// poll makes one GET after the other until the connection has ended or has moved to another transport.
func (c *Conn) poll() {
	rest := c.rest
	c.rest = nil
	if rest != nil && !c.receivedBody(rest) {
		return
	}
	for c.mayPoll() {
		b, err := c.request(c.ctx, http.MethodGet, nil)
		if err != nil {
			c.pollFailed(err)
			return
		}
		more := c.receivedBody(*b)
		giveBuffer(b)
		if !more {
			return
		}
	}
}

func (c *Conn) pollFailed(err error) {
	switch {
	case c.deaf.Load(): // the session may be gone already, which is what was asked for
	case errors.Is(err, errBodyTooLarge): // it is not
		c.shut(TransportError, err)
	default:
		c.end(TransportError, refusedLater(http.MethodGet, err))
	}
}

// mayPoll reports whether to make another GET. It is here that polling stops for an upgrade, when no request is in flight.
func (c *Conn) mayPoll() bool {
	for {
		c.mu.Lock()
		u := c.upgrade
		switch {
		case c.state == ended || c.leaving:
			c.mu.Unlock()
			return false
		case u == nil:
			c.mu.Unlock()
			return true
		case !c.writing:
			u.switching = true
			c.mu.Unlock()
			if c.switchOver(u) {
				return false
			}
		default: // a POST is in flight
			changed := c.changedLocked()
			c.mu.Unlock()
			<-changed
		}
	}
}

// receivedBody handles what a GET brought and reports whether to go on.
func (c *Conn) receivedBody(body []byte) bool {
	select {
	case c.turn <- struct{}{}:
	case <-c.done:
		return false
	}
	defer func() { <-c.turn }()
	c.clock.hold()
	defer c.clock.release()
	switch {
	case len(body) == 0:
		c.shut(TransportError, errEmptyAnswer)
		return false
	case !utf8.Valid(body):
		c.shut(TransportError, errBodyNotUTF8)
		return false
	}
	scratch := takeBuffer()
	defer giveBuffer(scratch)
	for more := true; more; {
		var text []byte
		text, body, more = cutPayload(body)
		p, err := decodeText(text, (*scratch)[:0])
		if err != nil {
			c.shut(TransportError, err)
			return false
		}
		if p.binary && cap(p.data) > cap(*scratch) {
			*scratch = p.data
		}
		if !c.received(p) {
			return false
		}
	}
	return true
}

// post sends the first of the packets, one at least, and returns how many.
func (c *Conn) post(items []item) (n int, err error) {
	body, n := encodePayload(items, c.opening.maxPayload)
	_, err = c.request(c.ctx, http.MethodPost, body)
	return n, refusedLater(http.MethodPost, err)
}

// sayClose is the good-bye of a client that polls.
func (c *Conn) sayClose() {
	_, _ = c.post([]item{{kind: packetClose}})
}

// encodePayload is a polling body of the first packets, as many as the limit allows, but one at least.
func encodePayload(items []item, limit int64) (body []byte, n int) {
	if limit <= 0 || limit > maxPost {
		limit = maxPost
	}
	size := items[0].encodedSize()
	for n = 1; n < len(items) && int64(size)+1+int64(items[n].encodedSize()) <= limit; n++ {
		size += 1 + items[n].encodedSize()
	}
	body = make([]byte, 0, size)
	for i := range items[:n] {
		if i > 0 {
			body = append(body, separator)
		}
		body = items[i].appendText(body)
	}
	return body, n
}
