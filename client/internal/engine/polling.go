package engine

import (
	"context"
	"errors"
)

var errNoPolling = errors.New("engine: polling is not there yet")

func (c *Conn) openPolling(context.Context) error { return errNoPolling }

func (c *Conn) servePolling() {}

func (c *Conn) post(items []item) (int, error) { return len(items), errNoPolling }

func (c *Conn) sayClose() {}
