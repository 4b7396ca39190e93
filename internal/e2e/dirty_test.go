package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// Engine rule 2: a client that goes without a word takes everything of its with it, however far it had come.
func TestDirtyDisconnects(t *testing.T) {
	const clients, atATime = 1000, 32
	srv, address := serve(t, socketio.Options{Engine: engineio.Options{
		PingInterval: time.Second, PingTimeout: time.Second, UpgradeTimeout: time.Second,
	}}, func(srv *socketio.Server) {
		srv.Of("/")
	})
	leave := []func(address string) error{
		resetWebSocket,
		resetHandshake,
		halfFrame,
		abandonedPoll,
		abandonedSession,
		halfPost,
		unfinishedUpgrade(false),
		unfinishedUpgrade(true),
	}
	// The first of each kind, so that what is made once is there before counting.
	for _, fn := range leave {
		if err := fn(address); err != nil {
			t.Fatal(err)
		}
	}
	w, err := connect(address, nil) // and one that is quiet long enough to be parked
	if err != nil {
		t.Fatal(err)
	}
	quietest()
	if err := w.reset(); err != nil {
		t.Fatal(err)
	}
	settled := func() bool { return srv.Engine().Sessions() == 0 && srv.Of("/").Len() == 0 }
	eventually(t, "the first ones are gone", settled)
	start := quietest()

	if err := each(clients, atATime, func(i int) error { return leave[i%len(leave)](address) }); err != nil {
		t.Error(err)
	}
	eventually(t, "no session is left", settled)
	deadline := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); runtime.NumGoroutine() > start; {
		select {
		case <-tick.C:
		case <-deadline:
			var stacks strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Fatalf("%d goroutines at the start, %d after %d clients:\n%s", start, runtime.NumGoroutine(), clients, stacks.String())
		}
	}
}

// quietest is the number of goroutines once it no longer falls: workers that are idle stay for a while.
func quietest() int {
	least := runtime.NumGoroutine()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for still := 0; still < 100; still++ {
		<-tick.C
		if n := runtime.NumGoroutine(); n < least {
			least, still = n, 0
		}
	}
	return least
}

func resetWebSocket(address string) error {
	w, err := connect(address, nil)
	if err != nil {
		return err
	}
	return w.reset()
}

// resetHandshake is gone before anything is answered.
func resetHandshake(address string) error {
	w, err := dial(address, nil)
	if err != nil {
		return err
	}
	_, err = w.Write(frame(upgrade(""), opText, "40"))
	return errors.Join(err, w.reset())
}

// halfFrame is gone in the middle of an attachment.
func halfFrame(address string) error {
	w, err := connect(address, nil)
	if err != nil {
		return err
	}
	out := frame(nil, opText, `451-["x",{"_placeholder":true,"num":0}]`)
	out = append(out, frame(nil, opBinary, strings.Repeat("x", 1000))[:500]...)
	_, err = w.Write(out)
	return errors.Join(err, w.reset())
}

// poller is a polling client on one connection.
type poller struct {
	*wire
	sid string
}

func (p *poller) write(method, body string) error {
	query := "EIO=4&transport=polling"
	if p.sid != "" {
		query += "&sid=" + p.sid
	}
	_, err := fmt.Fprintf(p, "%s /socket.io/?%s HTTP/1.1\r\nHost: perch.test\r\nContent-Length: %d\r\n\r\n%s", method, query, len(body), body)
	return err
}

func (p *poller) request(method, body string) (string, error) {
	if err := p.write(method, body); err != nil {
		return "", err
	}
	return answer(p.in)
}

func answer(in *bufio.Reader) (string, error) {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// poll opens a polling session and joins the main namespace.
func poll(address string, config *tls.Config) (*poller, error) {
	w, err := dial(address, config)
	if err != nil {
		return nil, err
	}
	p := &poller{wire: w}
	open, err := p.request(http.MethodGet, "")
	if err == nil {
		p.sid = sessionOf(open)
		_, err = p.request(http.MethodPost, "40")
	}
	if err == nil {
		_, err = p.request(http.MethodGet, "")
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return p, nil
}

// abandonedPoll is gone while its poll waits.
func abandonedPoll(address string) error {
	p, err := poll(address, nil)
	if err != nil {
		return err
	}
	return errors.Join(p.write(http.MethodGet, ""), p.reset())
}

// abandonedSession just never polls again: its ping goes unanswered.
func abandonedSession(address string) error {
	p, err := poll(address, nil)
	if err != nil {
		return err
	}
	return p.Close()
}

// halfPost is gone in the middle of a body.
func halfPost(address string) error {
	p, err := poll(address, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p, "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: perch.test\r\nContent-Length: 100\r\n\r\n42[", p.sid)
	return errors.Join(err, p.reset())
}

// unfinishedUpgrade leaves between the probe and the switch, or before the probe.
func unfinishedUpgrade(probed bool) func(string) error {
	return func(address string) error {
		p, err := poll(address, nil)
		if err != nil {
			return err
		}
		w, err := dial(address, nil)
		if err != nil {
			return errors.Join(err, p.Close())
		}
		_, err = w.Write(upgrade(p.sid))
		if err == nil {
			err = w.accepted()
		}
		if err == nil && probed {
			err = errors.Join(w.send("2probe"), w.expect("3probe"))
		}
		return errors.Join(err, p.reset(), w.reset())
	}
}
