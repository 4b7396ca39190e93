//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

const separator = "\x1e"

// poll sends a request: the one that opens a session, one that asks, or one that brings body.
func (g *generator) poll(c *connection, state uint8, body string) {
	c.state = state
	request := " /socket.io/?EIO=4&transport=polling"
	if c.sid != "" {
		request += "&sid=" + c.sid
	}
	request += " HTTP/1.1\r\nHost: x\r\n"
	if body == "" {
		request = "GET" + request + "\r\n"
	} else {
		request = "POST" + request + "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	g.send(c, []byte(request))
}

// polled is what has come on a connection of long-polling. There is one request under way at a time.
func (g *generator) polled(c *connection, b []byte, now int64) {
	body, length, err := response(b)
	switch {
	case err != nil:
		g.fail(c, err.Error()+": "+some(b))
		return
	case length == 0:
		c.in = append(c.in, b...)
		return
	case length < len(b), !bytes.HasPrefix(b, []byte("HTTP/1.1 200")):
		g.fail(c, "a wrong answer: "+some(b))
		return
	}
	if g.measuring {
		g.times.add(now - c.began)
		g.count++
	}
	c.began = now
	switch c.state {
	case pollingOpen:
		var open struct {
			Sid string `json:"sid"`
		}
		if err := json.Unmarshal(body[min(1, len(body)):], &open); err != nil || open.Sid == "" {
			g.fail(c, "a wrong answer: "+some(body))
			return
		}
		c.sid = open.Sid
		g.poll(c, pollingJoin, "40")
	case pollingJoin:
		g.poll(c, pollingJoined, "")
	case pollingJoined:
		if !bytes.HasPrefix(body, []byte("40")) {
			g.fail(c, "a wrong answer: "+some(body))
			return
		}
		g.ready++
		g.pending--
		c.echoed = now
		g.poll(c, pollingPost, g.posted)
	case pollingPost:
		g.poll(c, pollingGet, "")
	case pollingGet:
		g.packets(c, body, now)
	}
}

// packets are an answer to a poll: a ping, the ack, or both.
func (g *generator) packets(c *connection, body []byte, now int64) {
	pinged, acked := false, false
	for packet := range bytes.SplitSeq(body, []byte(separator)) {
		switch string(packet) {
		case g.answered:
			acked = true
		case "2":
			pinged = true
		default:
			g.fail(c, "a wrong answer: "+some(packet))
			return
		}
	}
	next := ""
	if pinged {
		g.pings++
		next = "3"
	}
	if acked {
		if g.measuring {
			g.rounds.add(now - c.echoed)
		}
		c.echoed = now
		if next != "" {
			next += separator
		}
		next += g.posted
	}
	g.poll(c, pollingPost, next)
}

// response is the body of an answer and its length with the head; 0 is an answer that is not all there.
func response(b []byte) (body []byte, length int, err error) {
	i := bytes.Index(b, []byte("\r\n\r\n"))
	if i < 0 {
		return nil, 0, nil
	}
	head, rest := bytes.ToLower(b[:i+2]), b[i+4:]
	if _, value, ok := bytes.Cut(head, []byte("content-length:")); ok {
		value, _, _ = bytes.Cut(value, []byte("\r"))
		n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil || n < 0 {
			return nil, 0, errors.New("a wrong Content-Length")
		}
		if len(rest) < n {
			return nil, 0, nil
		}
		return rest[:n], i + 4 + n, nil
	}
	if !bytes.Contains(head, []byte("transfer-encoding: chunked")) {
		return nil, 0, errors.New("an answer without length")
	}
	for {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			return nil, 0, nil
		}
		n, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return nil, 0, errors.New("a wrong chunk")
		}
		if len(after) < int(n)+2 {
			return nil, 0, nil
		}
		body, rest = append(body, after[:n]...), after[n+2:]
		if n == 0 {
			return body, len(b) - len(rest), nil
		}
	}
}
