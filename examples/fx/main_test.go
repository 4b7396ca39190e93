package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/perch-go/perch/client"
	perchfx "github.com/perch-go/perch/contrib/fx"
	"github.com/perch-go/perch/examples/fx/chat"
	"github.com/perch-go/perch/examples/fx/orders"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must come; nothing is waited for that long unless it fails.
const patience = 10 * time.Second

// start runs the program until the test ends.
func start(t *testing.T) (url string) {
	t.Helper()
	var server *perchfx.Server
	app := fxtest.New(t, program("127.0.0.1:0"), fx.Populate(&server))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	return "http://" + server.Addr().String()
}

func dial(t *testing.T, url string) *client.Socket {
	t.Helper()
	c, err := client.Dial(t.Context(), url, client.Options{NoReconnection: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// post answers with the order.
func post(t *testing.T, url string) (status int, o orders.Order) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_ = json.NewDecoder(resp.Body).Decode(&o)
	return resp.StatusCode, o
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// Checks 11 and 13: one module's HTTP controller reaches who watches an order by the Emitter, and who
// is in the chat by the gateway of the other module.
func TestTwoModules(t *testing.T) {
	t.Parallel()
	url := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	talker, customer := dial(t, url+"/chat"), dial(t, url+"/orders")
	said, changed := make(chan chat.Message, 8), make(chan orders.Order, 8)
	client.On(talker, "message", func(_ context.Context, m chat.Message) { said <- m })
	client.On(customer, "changed", func(_ context.Context, o orders.Order) { changed <- o })

	if n, err := client.Call[int](ctx, talker, "message", chat.Message{From: "ada", Text: "hello"}); n != 1 || err != nil {
		t.Errorf("message: %d, %v", n, err)
	}
	if m := receive(t, said); m.Text != "hello" {
		t.Errorf("got %+v", m)
	}
	if _, err := client.Call[orders.Order](ctx, customer, "watch", "A-1"); err == nil || !strings.Contains(err.Error(), "NO_SUCH_ORDER") {
		t.Errorf("watch, too early: %v", err)
	}

	if status, _ := post(t, url+"/orders/A-1/ship"); status != http.StatusNotFound {
		t.Errorf("shipping what is not there: %d", status)
	}
	if status, o := post(t, url+"/orders/A-1"); status != http.StatusOK || o.State != "paid" {
		t.Errorf("order: %d, %+v", status, o)
	}
	if status, _ := post(t, url+"/orders/A-1"); status != http.StatusConflict {
		t.Errorf("the same again: %d", status)
	}
	if status, o := post(t, url+"/orders/A-1/ship"); status != http.StatusOK || o.State != "shipped" {
		t.Errorf("ship: %d, %+v", status, o)
	}
	for _, state := range []string{"paid", "shipped"} {
		if o := receive(t, changed); o.ID != "A-1" || o.State != state {
			t.Errorf("got %+v, want %s", o, state)
		}
	}
	want := chat.Message{From: "the shop", Text: "order A-1 is on its way"}
	if m := receive(t, said); m != want {
		t.Errorf("got %+v", m)
	}
	last, err := client.Call[[]chat.Message](ctx, talker, "last", 1)
	if err != nil || len(last) != 1 || last[0] != want {
		t.Errorf("last: %+v, %v", last, err)
	}
	if o, err := client.Call[orders.Order](ctx, customer, "watch", "A-1"); err != nil || o.State != "shipped" {
		t.Errorf("watch: %+v, %v", o, err)
	}
}
