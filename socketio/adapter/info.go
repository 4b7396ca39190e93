package adapter

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Info is a plain value: a member as other processes see it (S-40).
type Info struct {
	ID        string
	Handshake Handshake
	// Rooms are the rooms the member is in, its own one first.
	Rooms []string
	// Data is what the member's user has stored. The values of a member of this process are the very
	// ones.
	Data map[string]any
}

// Handshake is a plain value: the request that opened a member's connection (S-50).
type Handshake struct {
	Header      http.Header
	Address     string
	CrossDomain bool
	Secure      bool
	Issued      time.Time
	URL         string
	Query       url.Values
	Auth        json.RawMessage // what the client sent with CONNECT
}
