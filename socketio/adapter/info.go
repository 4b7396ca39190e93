package adapter

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// Info is a plain value: a member as other processes see it (S-40).
type Info struct {
	ID        string
	Handshake Handshake
	// Rooms are the rooms the member is in, its own one first.
	Rooms []string
	// Data is what the member's user has stored. The values of a member of this process are the very
	// ones; those of others are a [parser.Raw] each, and what could not be encoded is not among them.
	// Decode reads either.
	Data map[string]any
}

// Decode decodes the value stored under key into what v points to, and reports whether there is one.
func (i *Info) Decode(key string, v any) (bool, error) {
	value, ok := i.Data[key]
	if !ok {
		return false, nil
	}
	r, ok := value.(parser.Raw)
	if !ok {
		var err error
		if r, err = parser.NewRaw(value); err != nil {
			return true, err
		}
	}
	return true, r.Decode(v)
}

// Handshake is a plain value: the request that opened a member's connection (S-50). Its JSON is that of Node's
// server.
type Handshake struct {
	Header      http.Header
	Address     string
	CrossDomain bool
	Secure      bool
	Issued      time.Time // to the millisecond
	URL         string
	Query       url.Values
	Auth        json.RawMessage // what the client sent with CONNECT
}

// handshakeJSON is a Handshake as Node has it.
type handshakeJSON struct {
	Headers map[string]texts `json:"headers"`
	Time    string           `json:"time"`
	Address string           `json:"address"`
	XDomain bool             `json:"xdomain"`
	Secure  bool             `json:"secure"`
	Issued  int64            `json:"issued"`
	URL     string           `json:"url"`
	Query   map[string]texts `json:"query"`
	Auth    json.RawMessage  `json:"auth"`
}

// javaScriptTime is how a Date prints itself.
const javaScriptTime = "Mon Jan 02 2006 15:04:05 GMT-0700 (Coordinated Universal Time)"

// MarshalJSON writes what Node's server calls socket.handshake.
func (h Handshake) MarshalJSON() ([]byte, error) {
	issued := h.Issued.UTC()
	out := handshakeJSON{
		Headers: make(map[string]texts, len(h.Header)),
		Time:    issued.Format(javaScriptTime),
		Address: h.Address,
		XDomain: h.CrossDomain,
		Secure:  h.Secure,
		Issued:  issued.UnixMilli(),
		URL:     h.URL,
		Query:   make(map[string]texts, len(h.Query)),
		Auth:    h.Auth,
	}
	for name, values := range h.Header {
		if name = strings.ToLower(name); name != "set-cookie" {
			separator := ", "
			if name == "cookie" {
				separator = "; "
			}
			values = []string{strings.Join(values, separator)}
		}
		out.Headers[name] = values
	}
	for name, values := range h.Query {
		out.Query[name] = values
	}
	if len(out.Auth) == 0 {
		out.Auth = json.RawMessage("{}")
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON and Node's server write. What it does not know it leaves out.
func (h *Handshake) UnmarshalJSON(text []byte) error {
	var in handshakeJSON
	if err := json.Unmarshal(text, &in); err != nil {
		// A field that is not what it should be does not cost the others: what could be read has been.
		if t := (*json.UnmarshalTypeError)(nil); !errors.As(err, &t) {
			return err
		}
	}
	*h = Handshake{
		Header:      make(http.Header, len(in.Headers)),
		Address:     in.Address,
		CrossDomain: in.XDomain,
		Secure:      in.Secure,
		Issued:      time.UnixMilli(in.Issued),
		URL:         in.URL,
		Query:       make(url.Values, len(in.Query)),
		Auth:        in.Auth,
	}
	for name, values := range in.Headers {
		for _, v := range values {
			h.Header.Add(name, v)
		}
	}
	for name, values := range in.Query {
		h.Query[name] = values
	}
	return nil
}

// texts is one text or a list of them, as querystring and headers have it.
type texts []string

func (t texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(slices.Clip(t)))
}

func (t *texts) UnmarshalJSON(text []byte) error {
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*t = texts{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		list = []string{string(text)} // a number, maybe; what it is does not cost the others
	}
	*t = list
	return nil
}
