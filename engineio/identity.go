package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
)

// maxID bounds ids of the user's own making.
const maxID = 128

// newID returns 20 url-safe characters, 120 random bits (CVE-2017-16031). Other parts of the field
// check for exactly 20.
func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// identify finds the id of a new session (S-82). One of the user's own making is reserved, until the
// session is stored or the caller gives it up with table.free.
func (s *Server) identify(r *http.Request) (id string, err error) {
	if s.opts.GenerateID == nil {
		return newID(), nil
	}
	asked, done := s.hurried(r)
	defer done()
	switch id, err = s.opts.GenerateID(asked); {
	case context.Cause(asked.Context()) == error(limitErrors[limitHandshakeTime]):
		return "", limitErrors[limitHandshakeTime]
	case err != nil:
		return "", err
	case !validID(id):
		return "", fmt.Errorf("engineio: GenerateID returned %q; an id is 1 to %d characters: letters, digits, - _ . : and ~", id, maxID)
	case !s.sessions.reserve(id):
		return "", fmt.Errorf("engineio: GenerateID returned %q, which another session has; ids must be unique, in the whole cluster", id)
	}
	return id, nil
}

// validID reports whether an id can stand in JSON, a URL and a cookie as it is.
func validID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == '~', c == ':':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxID
}

// cookieTemplate completes Options.Cookie (S-16).
func cookieTemplate(c *http.Cookie) (*http.Cookie, error) {
	if c == nil {
		return nil, nil
	}
	t := *c
	if t.Name == "" {
		t.Name = "io"
	}
	if t.Path == "" {
		t.Path = "/"
	}
	if t.SameSite == 0 {
		t.SameSite = http.SameSiteLaxMode
	}
	t.HttpOnly, t.Value = true, ""
	if err := t.Valid(); err != nil { // CVE-2024-47764
		return nil, fmt.Errorf("engineio: Cookie: %w", err)
	}
	return &t, nil
}

// setInitialHeaders adds to the answer that opens a session what only that one has (S-16, S-81).
func (s *Server) setInitialHeaders(h http.Header, r *http.Request, t Transport, id string) {
	if c := s.opts.Cookie; c != nil && t == Polling {
		cookie := *c
		cookie.Value = id
		h.Add("Set-Cookie", cookie.String())
	}
	if s.opts.InitialHeaders != nil {
		s.opts.InitialHeaders(h, r)
	}
}
