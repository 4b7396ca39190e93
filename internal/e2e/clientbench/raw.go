package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/coder/websocket"
)

// rawClient knows which bytes to send and how the answers begin, and no more: it is what a client may cost at best that is made
// with the same library.
type rawClient struct{}

func (rawClient) dial(ctx context.Context, url string) (connection, error) {
	ws, _, err := websocket.Dial(ctx, url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return nil, err
	}
	c := rawConnection{ws}
	if err = c.wait(ctx, "0{"); err == nil {
		if err = c.write("40"); err == nil {
			err = c.wait(ctx, "40{")
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

type rawConnection struct{ *websocket.Conn }

func (c rawConnection) close() { _ = c.Close(websocket.StatusNormalClosure, "") }

// idle answers pings.
func (c rawConnection) idle() { _, _ = c.read(context.Background()) }

func (c rawConnection) write(packet string) error {
	// No context that can end: it would cost a good deal on each call.
	return c.Write(context.Background(), websocket.MessageText, []byte(packet))
}

// read waits for a packet that is no ping.
func (c rawConnection) read(ctx context.Context) ([]byte, error) {
	for {
		_, packet, err := c.Read(ctx)
		if err != nil || len(packet) == 0 || packet[0] != '2' {
			return packet, err
		}
		if err := c.write("3"); err != nil {
			return nil, err
		}
	}
}

// wait reads a packet that begins like that.
func (c rawConnection) wait(ctx context.Context, prefix string) error {
	packet, err := c.read(ctx)
	if err == nil && !bytes.HasPrefix(packet, []byte(prefix)) {
		err = fmt.Errorf("got %q instead of %s…", packet, prefix)
	}
	return err
}

func (c rawConnection) echo(_ context.Context, inFlight int, text string, done *atomic.Int64) error {
	packet := `420["echo","` + text + `"]`
	for range inFlight {
		if err := c.write(packet); err != nil {
			return err
		}
	}
	for {
		if err := c.wait(context.Background(), "430["); err != nil {
			return err
		}
		done.Add(1)
		if err := c.write(packet); err != nil {
			return err
		}
	}
}

func (c rawConnection) receive(_ context.Context, done *atomic.Int64) error {
	for {
		if err := c.write(`42["burst",` + strconv.Itoa(burst) + `]`); err != nil {
			return err
		}
		for range burst {
			if err := c.wait(context.Background(), `42["tick",`); err != nil {
				return err
			}
			done.Add(1)
		}
	}
}

func (c rawConnection) send(context.Context) error {
	packet := `42["count","` + payload + `"]`
	for {
		for range burst {
			if err := c.write(packet); err != nil {
				return err
			}
		}
		if err := c.write(`420["sync"]`); err != nil {
			return err
		}
		if err := c.wait(context.Background(), "430["); err != nil {
			return err
		}
	}
}
