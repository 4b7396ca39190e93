package client

import (
	"errors"
	"fmt"
	"net/url"
)

// target is a URL taken apart: the server, the namespace that the path names, and what the query says.
type target struct {
	base      *url.URL // http or https, without path and query
	namespace string
	query     url.Values
}

var errNoHost = errors.New("no host")

// parseURL takes rawURL apart. ws and wss mean what http and https do (C-1).
func parseURL(rawURL string) (t target, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return t, fmt.Errorf("client: %w", err)
	}
	scheme := map[string]string{"http": "http", "ws": "http", "https": "https", "wss": "https"}[u.Scheme]
	switch {
	case scheme == "":
		return t, fmt.Errorf("client: URL %q must begin with http://, https://, ws:// or wss://", rawURL)
	case u.Hostname() == "":
		return t, fmt.Errorf("client: URL %q: %w", rawURL, errNoHost)
	}
	t.query, err = url.ParseQuery(u.RawQuery)
	if err != nil {
		return t, fmt.Errorf("client: query of URL %q: %w", rawURL, err)
	}
	t.namespace = u.Path
	if t.namespace == "" {
		t.namespace = "/"
	}
	t.base = &url.URL{Scheme: scheme, User: u.User, Host: u.Host}
	return t, nil
}
