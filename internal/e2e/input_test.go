package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio"
)

// Engine rule 11: what is no protocol ends the connection it came on, and nobody else's.
func TestBadInput(t *testing.T) {
	t.Parallel()
	srv, address := serve(t, socketio.Options{}, func(srv *socketio.Server) {
		srv.Of("/").Handle("echo", func(_ context.Context, e *socketio.Event) { _ = e.Ack(arg[string](e, 0)) })
	})
	unmasked := []byte("\x81\x0242")
	placeholder := func(num string) string { return `451-["echo",{"_placeholder":true,"num":` + num + `}]` }
	text := func(messages ...string) (out []byte) {
		for _, m := range messages {
			out = frame(out, opText, m)
		}
		return out
	}
	cases := map[string][]byte{
		"an event name that is an object (CVE-2023-32695)": text(`42[{"toString":"x"}]`),
		"an event name that is null":                       text(`42[null]`),
		"no event at all":                                  text(`42[]`),
		"no attachments announced (CVE-2026-69185)":        text(`450-["echo"]`),
		"too many attachments (CVE-2026-33151)":            text(`4511-["echo"]`),
		"a placeholder out of range":                       frame(text(placeholder("1")), opBinary, "x"),
		"a placeholder that is text (CVE-2022-2421)":       frame(text(placeholder(`"splice"`)), opBinary, "x"),
		"text in place of an attachment":                   text(placeholder("0"), `42["echo"]`),
		"a binary message nobody announced":                frame(nil, opBinary, "x"),
		"invalid UTF-8":                                    text("42[\"echo\",\"\xc3\x28\"]"),
		"an unmasked frame":                                unmasked,
		"100,000 levels of lists":                          text(`42["echo",` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `]`),
		"100,000 levels that do not end":                   text(`42["echo",` + strings.Repeat(`{"a":`, 100_000)),
		"a message over the limit":                         text("42" + strings.Repeat("x", 1_000_001)),
		"an unknown packet type":                           text("49"),
		"an unknown engine packet":                         text("x"),
		"a namespace that was not joined":                  text(`42/other,["echo"]`),
		"a second CONNECT (S-94)":                          text("40"),
	}
	neighbour := member(t, address, nil)
	for name, bytes := range cases {
		w := member(t, address, nil)
		// The server may have ended the connection before it has read all of it.
		_, _ = w.Write(bytes)
		for {
			if _, err := w.text(); err != nil {
				break // closed, properly or not
			}
		}
		_ = w.Close()
		eventually(t, name+" ends its session", func() bool { return srv.Engine().Sessions() == 1 })
		if err := neighbour.send(`421["echo","still here"]`); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := neighbour.expect(`431["still here"]`); err != nil {
			t.Fatalf("%s: the neighbour: %v", name, err)
		}
	}

	for name, query := range map[string]string{
		"no transport":                "EIO=4",
		"an unknown transport":        "EIO=4&transport=carrier-pigeon",
		"a prototype-like transport":  "EIO=4&transport=__proto__",
		"a constructor for transport": "EIO=4&transport=constructor",
	} {
		resp, err := http.Get("http://" + address + "/socket.io/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		body := new(strings.Builder)
		_ = resp.Write(body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body.String(), `{"code":0,"message":"Transport unknown"}`) {
			t.Errorf("%s: %s", name, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
