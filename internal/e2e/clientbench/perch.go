package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/client"
)

// perchClient is package client, as a program would use it.
type perchClient struct{ transport client.Transport }

func (c perchClient) dial(ctx context.Context, url string) (connection, error) {
	s, err := client.Dial(ctx, url, client.Options{Transports: []client.Transport{c.transport}, NoReconnection: true})
	if err != nil {
		return nil, err
	}
	return perchConnection{s}, nil
}

type perchConnection struct{ *client.Socket }

func (c perchConnection) close() { _ = c.Close() }

func (c perchConnection) idle() {} // it looks after itself

func (c perchConnection) echo(ctx context.Context, inFlight int, text string, done *atomic.Int64) error {
	errs := make(chan error, inFlight)
	for range inFlight {
		go func() { errs <- c.echoOne(ctx, text, done) }()
	}
	var err error
	for range inFlight {
		err = <-errs
	}
	return err
}

func (c perchConnection) echoOne(ctx context.Context, text string, done *atomic.Int64) error {
	for {
		reply, err := c.EmitWithAck(ctx, "echo", text)
		if err != nil {
			return err
		}
		var back string
		if err := reply.Decode(0, &back); err != nil {
			return err
		}
		done.Add(1)
	}
}

func (c perchConnection) receive(ctx context.Context, done *atomic.Int64) error {
	bursts := make(chan error, 1)
	var once sync.Once
	n := 0 // handlers of one socket run one after the other
	defer c.On("tick", func(_ context.Context, e *client.Event) {
		var text string
		err := e.Decode(0, &text)
		done.Add(1)
		if n++; n == burst && err == nil {
			n, err = 0, c.Emit("burst", burst)
		}
		if err != nil {
			once.Do(func() { bursts <- err })
		}
	})()
	if err := c.Emit("burst", burst); err != nil {
		return err
	}
	select {
	case err := <-bursts:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c perchConnection) send(ctx context.Context) error {
	for {
		for range burst {
			if err := c.Emit("count", payload); err != nil {
				return err
			}
		}
		if _, err := c.EmitWithAck(ctx, "sync"); err != nil {
			return err
		}
	}
}
