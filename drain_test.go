package perch_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio/adapter"
)

// watched is a listener whose end is noticed.
type watched struct {
	net.Listener
	closed func()
}

func (w *watched) Close() error {
	w.closed()
	return w.Listener.Close()
}

// Architecture section 5, Stop: refuse, let handlers end and send, tell clients, await HandleDisconnect, close adapters, close
// listeners; each of them on all ports before the next begins on one.
func TestShutdownOrder(t *testing.T) {
	t.Parallel()
	var book journal
	entered, goOn, hookGoesOn := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	told := make(chan struct{}, 2)
	news := &gateway{options: perch.Options{Namespace: "news"}}
	busy := func(port int) *hooked {
		g := &hooked{gateway: gateway{options: perch.Options{Port: port}}}
		g.register = func(r *perch.Router) {
			perch.On(r, "work", func(ctx context.Context, _ perch.None) (string, error) {
				entered <- struct{}{}
				<-goOn
				book.add("handled")
				return "done", news.Server().Emit("x") // of the other port, perhaps
			})
		}
		g.onDisconnect = func(_ context.Context, s *perch.Socket, reason perch.Reason) {
			<-hookGoesOn
			if err := news.Server().Emit("bye"); err != nil { // still somewhere to go
				t.Error(err)
			}
			book.add("HandleDisconnect %s", reason)
		}
		return g
	}
	ports := anyPort{}
	app := madeWith(t, func(network, address string) (net.Listener, error) {
		l, err := ports.listen(network, address)
		return &watched{l, func() { book.add("listener closed") }}, err
	}, perch.WithAdapter(func(h adapter.Host) adapter.Adapter {
		return &noticed{adapter.NewMemory(h), func() { book.add("adapter closed") }}
	}), perch.WithGateways(busy(0), busy(81), news))
	shared, err := ports.listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(&watched{shared, func() { book.add("listener closed") }}) }()
	for _, port := range []string{":80", ":81"} {
		c := dialURL(t, http.DefaultClient, "http://"+ports.at(port))
		c.ask("40")
		c.send(`421["work"]`)
		receive(t, entered)
		go func() {
			if got := c.packet(); got != `431["done"]` {
				t.Errorf("the ack is %s", got)
			}
			c.readToEnd()
			told <- struct{}{}
		}()
	}

	stopped := make(chan error, 1)
	go func() { stopped <- app.Shutdown(context.Background()) }()
	for _, port := range []string{":80", ":81"} {
		for get(t, http.DefaultClient, "http://"+ports.at(port)+"/socket.io/?EIO=4&transport=polling")[:3] != "503" { // refusal has not begun
			select {
			case err := <-stopped:
				t.Fatalf("Shutdown has not waited: %v", err)
			default:
			}
		}
	}
	book.add("refused")
	goOn <- struct{}{}
	goOn <- struct{}{}
	receive(t, told)
	receive(t, told)
	book.add("told")
	close(hookGoesOn)
	if err := receive(t, stopped); err != nil {
		t.Error(err)
	}
	if err := receive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	const left = "HandleDisconnect server shutting down"
	book.want(t, "refused", "handled", "handled", "told", left, left,
		"adapter closed", "adapter closed", "adapter closed", // of / on each port, and of /news
		"listener closed", "listener closed")
}
