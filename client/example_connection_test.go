package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// AuthFunc is asked on every CONNECT, the first and those after a loss, so a token may be renewed. A refusal by the server is final,
// a lost connection is not.
func ExampleOptions_authFunc() {
	url, stop := serve(socketio.Options{}, func(s *socketio.Server) {
		s.Use(func(_ context.Context, s *socketio.Socket) error {
			var auth struct{ Token string }
			if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Token != "token 2" {
				return &socketio.ConnectError{Message: "token expired", Data: map[string]bool{"renew": true}}
			}
			return nil
		})
	})
	defer stop()
	ctx := context.Background()
	tokens := 0
	s, err := client.New(ctx, url, client.Options{
		AuthFunc: func(context.Context) (any, error) {
			tokens++
			return map[string]string{"token": fmt.Sprint("token ", tokens)}, nil
		},
		ReconnectionDelay:    200 * time.Millisecond,
		ReconnectionDelayMax: 30 * time.Second,
	})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	err = s.Connect(ctx)
	var refused *client.ConnectError
	if errors.As(err, &refused) {
		var data struct{ Renew bool }
		err = refused.Data.Decode(&data)
		fmt.Println(refused.Message, data.Renew, err)
	}
	fmt.Println(s.Connect(ctx), s.Connected())
	// Output:
	// token expired true <nil>
	// <nil> true
}

// A server that can recover connections sends what was missed. Only what was not recovered has to be asked for.
func ExampleSocket_Recovered() {
	url, stop := serve(socketio.Options{Recovery: &socketio.Recovery{}}, func(s *socketio.Server) {
		s.OnConnection(func(_ context.Context, s *socketio.Socket) error {
			if s.Recovered() {
				return nil // its rooms and data are there
			}
			return s.Join("lobby")
		})
	})
	defer stop()
	ctx := context.Background()
	var line net.Conn // for this example to cut
	s, err := client.New(ctx, url, client.Options{
		Transports: []client.Transport{client.WebSocket},
		DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			line, err = new(net.Dialer).DialContext(ctx, network, addr)
			return line, err
		},
		ReconnectionDelay: 10 * time.Millisecond,
	})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	connected := make(chan bool)
	s.OnConnect(func() { connected <- s.Recovered() })
	go s.Connect(ctx)
	fmt.Println("recovered:", <-connected)
	_ = line.Close()
	fmt.Println("recovered:", <-connected)
	// Output:
	// recovered: false
	// recovered: true
}

// ChatGateway serves what the descriptors say: a change of one of them is a change for both sides, or does not compile.
type ChatGateway struct{ perch.Base }

func (g *ChatGateway) Options() perch.Options { return perch.Options{Namespace: "chat"} }

func (g *ChatGateway) Register(r *perch.Router) {
	perch.On(r, Post, g.Post)
	perch.OnStream(r, History, g.History)
}

func (g *ChatGateway) Post(_ context.Context, m Message) (Receipt, error) {
	if m.Text == "" {
		return Receipt{}, perch.Errorf("EMPTY", "say something")
	}
	return Receipt{ID: 1}, g.Server().Emit(string(Posted), m)
}

func (g *ChatGateway) History(_ context.Context, r Range) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for i := range r.Last {
			if !yield(Message{Text: fmt.Sprint("message ", i+1)}, nil) {
				return
			}
		}
		yield(Message{}, perch.Errorf("NO_MORE", "that is all there is"))
	}
}

// serveApp serves an app by a pipe, see ExampleOptions_dialContext.
func serveApp(gateway perch.Gateway) (l *pipe, stop func()) {
	app, err := perch.New(perch.WithGateways(gateway), perch.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		log.Panic(err)
	}
	l = newPipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = app.Serve(l)
	}()
	return l, func() {
		_ = app.Shutdown(context.Background())
		<-served
	}
}

// A gateway and its clients share the descriptors.
func Example_gateway() {
	l, stop := serveApp(&ChatGateway{})
	defer stop()
	ctx := context.Background()
	s, err := client.Dial(ctx, "http://chat.example/chat", client.Options{DialContext: l.DialContext})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	fmt.Println(client.Call(ctx, s, Post, Message{Text: "hello"}))
	fmt.Println(client.Call(ctx, s, Post, Message{}))
	for m, err := range client.Stream(ctx, s, History, Range{Last: 2}) {
		fmt.Println(m.Text, err)
	}
	// Output:
	// {1} <nil>
	// {0} EMPTY: say something
	// message 1 <nil>
	// message 2 <nil>
	//  NO_MORE: that is all there is
}

// Payment has an id that the client makes, so that a payment which comes twice is made once.
type Payment struct {
	ID     string `json:"id"`
	Amount int    `json:"amount"`
}

// Till is a gateway.
type Till struct {
	perch.Base
	total int
}

func (t *Till) Options() perch.Options { return perch.Options{Namespace: "till"} }

func (t *Till) Register(r *perch.Router) {
	key := func(_ context.Context, p Payment) string { return p.ID }
	perch.On(r, "pay", perch.Once(perch.OnceOptions{}, key, t.Pay))
}

// Pay is called one payment at a time here, for there is one client.
func (t *Till) Pay(_ context.Context, p Payment) (int, error) {
	t.total += p.Amount
	return t.total, nil
}

// With Retries what is emitted is sent until the server has acknowledged it, one thing after the other. It may arrive twice, if only
// the acknowledgement was lost; perch.Once drops that.
func ExampleOptions_retries() {
	l, stop := serveApp(&Till{})
	defer stop()
	ctx := context.Background()
	s, err := client.Dial(ctx, "http://shop.example/till", client.Options{
		DialContext: l.DialContext,
		Retries:     3,
		AckTimeout:  5 * time.Second,
	})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	fmt.Println(s.Emit("pay", Payment{ID: "a", Amount: 10})) // returns at once
	for range 2 {                                            // as if the answer had been lost
		total, err := client.Call[int](ctx, s, "pay", Payment{ID: "b", Amount: 5})
		fmt.Println(total, err)
	}
	// Output:
	// <nil>
	// 15 <nil>
	// 15 <nil>
}

// A manager is one connection, for any number of namespaces.
func ExampleNewManager() {
	url, stop := serve(socketio.Options{}, func(s *socketio.Server) {
		for _, name := range []string{"/chat", "/news"} {
			s.Of(name).Handle("where", func(_ context.Context, e *socketio.Event) { _ = e.Ack(name) })
		}
	})
	defer stop()
	ctx := context.Background()
	m, err := client.NewManager(ctx, url, client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer m.Close() // closes the sockets, too

	for _, name := range []string{"/chat", "/news"} {
		s, err := m.Socket(name, nil)
		if err != nil {
			log.Panic(err)
		}
		if err := s.Connect(ctx); err != nil {
			log.Panic(err)
		}
		where, err := client.Call[string](ctx, s, "where", event.None{})
		fmt.Println(where, err)
	}
	// Output:
	// /chat <nil>
	// /news <nil>
}

// Proxy, cookies and TLS are those of an http.Client, which makes every request, the WebSocket's included.
func ExampleOptions_httpClient() {
	jar, err := cookiejar.New(nil) // where a balancer keeps sessions together by a cookie
	if err != nil {
		log.Panic(err)
	}
	roots := x509.NewCertPool() // whoever may vouch for the server
	s, err := client.New(context.Background(), "https://example.com/chat", client.Options{
		HTTPClient: &http.Client{
			Jar: jar,
			Transport: &http.Transport{
				Proxy:           http.ProxyFromEnvironment,
				TLSClientConfig: &tls.Config{RootCAs: roots},
			},
		},
	})
	if err != nil {
		log.Panic(err)
	}
	_ = s.Close()
}

// Picture has bytes, which travel as they are.
type Picture struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// MessagePack has to be chosen on both sides. Types and tags of a program stay the same.
func ExampleOptions_parser() {
	url, stop := serve(socketio.Options{Parser: msgpack.Parser{}}, func(s *socketio.Server) {
		s.Handle("upload", func(_ context.Context, e *socketio.Event) {
			var p Picture
			if err := e.Decode(0, &p); err == nil {
				_ = e.Ack(len(p.Data))
			}
		})
	})
	defer stop()
	ctx := context.Background()
	s, err := client.Dial(ctx, url, client.Options{Parser: msgpack.Parser{}})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()
	size, err := client.Call[int](ctx, s, "upload", Picture{"dot.png", []byte{1, 2, 3}})
	fmt.Println(size, err)
	// Output: 3 <nil>
}

// pipe is a listener without a port: what is dialed by its DialContext it accepts.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipe() *pipe {
	p := &pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	p.close()
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// A test needs no port: DialContext connects to a listener in memory.
func ExampleOptions_dialContext() {
	io, err := socketio.New(socketio.Options{})
	if err != nil {
		log.Panic(err)
	}
	io.Handle("ping!", func(_ context.Context, e *socketio.Event) { _ = e.Ack("pong!") })
	l, server := newPipe(), &http.Server{Handler: io}
	go server.Serve(l)
	defer func() {
		_ = io.Shutdown(context.Background())
		_ = server.Close()
	}()
	ctx := context.Background()
	s, err := client.Dial(ctx, "http://anywhere.example", client.Options{DialContext: l.DialContext})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()
	fmt.Println(client.Call[string](ctx, s, "ping!", event.None{}))
	// Output: pong! <nil>
}
