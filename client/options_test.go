package client

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is wrong with options is said at once, all of it, and what to change.
func TestOptionsErrors(t *testing.T) {
	t.Parallel()
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errDown }
	for want, o := range map[string]Options{
		`there is no transport "webtransport"`:    {Transports: []Transport{"webtransport"}},
		`transport "polling" is listed twice`:     {Transports: []Transport{Polling, Polling}},
		`Path is "socket.io"`:                     {Path: "socket.io"},
		"HTTPClient and DialContext are both set": {HTTPClient: http.DefaultClient, DialContext: dial},
		"Auth and AuthFunc are both set":          {Auth: 1, AuthFunc: func(context.Context) (any, error) { return nil, nil }},
		"AckTimeout is -1s":                       {AckTimeout: -time.Second},
		"ReconnectionDelayMax is 1s, less than":   {ReconnectionDelay: time.Minute, ReconnectionDelayMax: time.Second},
		"RandomizationFactor is 2":                {RandomizationFactor: 2},
		"RequestTimeout is negative":              {RequestTimeout: -1},
		"MaxBufferedBytes is negative":            {MaxBufferedBytes: -1},
		"MaxBufferedPackets is negative":          {MaxBufferedPackets: -1},
		"ReconnectionAttempts is negative":        {ReconnectionAttempts: -1},
		"MaxPayload is negative":                  {MaxPayload: -1},
	} {
		_, err := New(t.Context(), siteURL, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := New(t.Context(), siteURL, Options{Path: "x", MaxPayload: -1})
	if err == nil || !strings.Contains(err.Error(), "Path") || !strings.Contains(err.Error(), "MaxPayload") {
		t.Errorf("%v, want both mistakes", err)
	}
}

// C-1: what a URL means.
func TestParseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://localhost":             "http://localhost / ",
		"https://localhost:3000/":      "https://localhost:3000 / ",
		"ws://localhost/chat":          "http://localhost /chat ",
		"wss://[::1]:3000/a/b?x=1&y=2": "https://[::1]:3000 /a/b x=1&y=2",
		"http://user:pass@host/":       "http://user:pass@host / ",
		"http://host?x=a%20b":          "http://host / x=a+b",
		"http://host/caf%C3%A9":        "http://host /café ",
		"localhost:3000":               "! must begin with http://",
		"//localhost":                  "! must begin with http://",
		"ftp://localhost":              "! must begin with http://",
		"http://":                      "! no host",
		"http://:3000":                 "! no host",
		"http://host/%zz":              "! invalid URL escape",
		"http://host?x=%zz":            "! query of URL",
		"":                             "! must begin with http://",
	} {
		got, err := parseURL(raw)
		if wrong, ok := strings.CutPrefix(want, "! "); ok {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v, want %q", raw, err, wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if s := got.base.String() + " " + got.namespace + " " + got.query.Encode(); s != want {
			t.Errorf("%s: %s, want %s", raw, s, want)
		}
	}
}

func TestNewManagerURL(t *testing.T) {
	t.Parallel()
	_, err := NewManager(t.Context(), "http://localhost/chat", Options{})
	if err == nil || !strings.Contains(err.Error(), "Manager.Socket") {
		t.Error(err)
	}
	m, err := NewManager(t.Context(), "http://localhost", Options{Path: "/x", NoTrailingSlash: true})
	if err != nil {
		t.Fatal(err)
	}
	if m.base.Path != "/x" {
		t.Errorf("path %q", m.base.Path)
	}
	if _, err := m.Socket("a,b", nil); err == nil {
		t.Error("a namespace with a comma")
	}
	a, _ := m.Socket("chat", nil)
	b, _ := m.Socket("/chat", nil)
	if a == nil || a != b || a.Namespace() != "/chat" {
		t.Error("not the same socket for the same namespace")
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	<-m.Done()
	if _, err := m.Socket("chat", nil); err == nil {
		t.Error("a socket of a closed manager")
	}
}
