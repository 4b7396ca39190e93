package crowd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// overOldPolling is a client of protocol 3 over polling, with one request under way at a time.
func overOldPolling(v *visitor, news *ledger) (talker, error) {
	l, err := v.dial()
	if err != nil {
		return nil, err
	}
	c := &oldClient{v: v, line: l, news: news}
	body, err := l.get(version3 + "polling")
	if c.sid = sessionOf(body); err == nil && c.sid == "" {
		err = fmt.Errorf("no session: %.200q", body)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return c, nil
}

type oldClient struct {
	v    *visitor
	line *line
	news *ledger
	sid  string
}

func (c *oldClient) path() string { return version3 + "polling&sid=" + c.sid }

func oldPayload(packets ...string) string {
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d:%s", utf8.RuneCountInString(p), p)
	}
	return b.String()
}

// call posts the event, with a ping, and polls until the acknowledgement has come.
func (c *oldClient) call(ctx context.Context, event string, arg any) (n uint64, err error) {
	if _, err := c.line.post(c.path(), oldPayload(fmt.Sprintf(`421["%s",%v]`, event, arg), "2")); err != nil {
		return 0, err
	}
	for answered := false; !answered; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		body, err := c.line.get(c.path())
		if err != nil {
			return 0, err
		}
		for body != "" {
			length, rest, _ := strings.Cut(body, ":")
			size, err := strconv.Atoi(length)
			if err != nil || size > len(rest) { // all of it is ASCII
				return 0, fmt.Errorf("no payload: %.200q", body)
			}
			oldPacket(rest[:size], c.news, func(got uint64) { n, answered = got, true })
			body = rest[size:]
		}
	}
	return n, nil
}

func (c *oldClient) think(d time.Duration) { c.v.pause(d) }

func (c *oldClient) close() {
	_, _ = c.line.post(c.path(), oldPayload("1"))
	c.line.reset()
}
