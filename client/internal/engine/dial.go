package engine

import (
	"context"
	"errors"
	"fmt"
)

// Dial opens a connection; it returns when the server has said who it is. ctx bounds that, not the connection. A refusal is a
// *HandshakeError. The caller goes on with Serve, or with Close.
func Dial(ctx context.Context, config Config) (*Conn, error) {
	config.setDefaults()
	if len(config.Transports) == 0 {
		return nil, errors.New("engine: no transports to connect with")
	}
	var errs []error
	for i, t := range config.Transports {
		c := newConn(ctx, config)
		// One that failed is not gone back to, neither to upgrade.
		c.config.Transports = config.Transports[i:]
		err := c.open(ctx, t)
		if err == nil {
			return c, nil
		}
		c.cancel()
		errs = append(errs, err)
		if !config.TryAll || ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

func newConn(ctx context.Context, config Config) *Conn {
	client := *config.HTTPClient
	client.Timeout = 0 // a poll has its own
	c := &Conn{config: config, http: &client, done: make(chan struct{}), turn: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.writer = c.write
	return c
}

// open connects over a transport.
func (c *Conn) open(ctx context.Context, t Transport) (err error) {
	c.transport = t
	switch t {
	case WebSocket:
		err = c.openWebSocket(ctx)
	case Polling:
		err = c.openPolling(ctx)
	default:
		return fmt.Errorf("engine: unknown transport %q", t)
	}
	if err != nil {
		return err
	}
	c.id = c.opening.sid
	c.clock.limit = c.opening.pingInterval + c.opening.pingTimeout
	c.clock.expired = func() { c.end(PingTimeout, nil) }
	return nil
}

func (c *Conn) openWebSocket(ctx context.Context) error {
	ws, err := dialWebSocket(ctx, &c.config, "", c.stamp.Add(1))
	if err != nil {
		return err
	}
	binary, b, err := ws.read(ctx)
	if err != nil {
		ws.release()
		if ctx.Err() != nil {
			return fmt.Errorf("engine: waiting for the open packet: %w", ctx.Err())
		}
		_, err = ws.reason(err)
		return err
	}
	defer giveBuffer(b)
	if binary {
		err = errors.New("engine: a binary message instead of the open packet")
	} else {
		c.opening, err = decodeOpen(*b)
	}
	if err != nil {
		ws.release()
		return err
	}
	c.ws = ws
	c.dropHTTP()
	return nil
}

// dropHTTP lets go of what makes requests: it may be the largest part of a connection that is a WebSocket, and of no use to it.
func (c *Conn) dropHTTP() { c.http, c.config.HTTPClient = nil, nil }
