package adaptertest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// fetch describes members from the first node, sorted by their ids.
func (c *cluster) fetch(ctx context.Context, sel adapter.Selection) (ids []string, infos []adapter.Info, err error) {
	infos, err = c.node(0).Fetch(ctx, sel)
	slices.SortFunc(infos, func(a, b adapter.Info) int { return strings.Compare(a.ID, b.ID) })
	for _, info := range infos {
		ids = append(ids, info.ID)
	}
	return ids, infos, err
}

func (c *cluster) finds(t *testing.T, sel adapter.Selection, want ...string) {
	t.Helper()
	if ids, _, err := c.fetch(t.Context(), sel); err != nil || !slices.Equal(ids, want) {
		t.Errorf("Fetch: %q, %v, want %q", ids, err, want)
	}
}

// S-40
var fetches = []test{
	{name: "everybody", run: func(t *testing.T, c *cluster) { c.finds(t, adapter.Selection{}, "a", "b", "c") }},
	{name: "rooms", run: func(t *testing.T, c *cluster) {
		c.joins(t, "a", "r")
		c.joins(t, "b", "r", "s")
		c.joins(t, "c", "s")
		c.finds(t, to("r", "s"), "a", "b", "c")
		c.finds(t, to("s"), "b", "c")
		c.finds(t, to("c"), "c")
		c.finds(t, to("none"))
		c.finds(t, adapter.Selection{Except: []string{"r"}}, "c")
		c.finds(t, adapter.Selection{Rooms: []string{"s"}, Except: []string{"b"}}, "c")
	}},
	{name: "local", run: func(t *testing.T, c *cluster) { c.finds(t, local, c.on(c.node(0))...) }},
	{name: "handshake, rooms and data", run: func(t *testing.T, c *cluster) {
		type account struct {
			Name string
			ID   uint64
			Key  []byte
		}
		for _, m := range c.members {
			m.data = map[string]any{"user": account{m.id, 1<<53 + 1, []byte("key")}, "channel": make(chan int)}
			c.joins(t, m.id, "r", "s")
		}
		_, infos, err := c.fetch(t.Context(), adapter.Selection{})
		if err != nil || len(infos) != 3 {
			t.Fatalf("Fetch: %v", err)
		}
		for i, info := range infos {
			var user account
			if ok, err := info.Decode("user", &user); !ok || err != nil || !reflect.DeepEqual(user, account{abc[i], 1<<53 + 1, []byte("key")}) {
				t.Errorf("%s: data %v, %v, %v", info.ID, user, ok, err)
			}
			if ok, err := info.Decode("none", &user); ok || err != nil {
				t.Errorf("%s has data that nobody stored, or %v", info.ID, err)
			}
			if !reflect.DeepEqual(info.Handshake, handshake) {
				t.Errorf("%s: handshake %+v, want %+v", info.ID, info.Handshake, handshake)
			}
			if want := []string{info.ID, "r", "s"}; !slices.Equal(info.Rooms, want) {
				t.Errorf("%s: rooms %q", info.ID, info.Rooms)
			}
		}
	}},
	{name: "members that come and go", run: func(t *testing.T, c *cluster) {
		c.members[2].leave("left")
		c.last().newMember("d")
		c.finds(t, adapter.Selection{}, "a", "b", "d")
	}},
	{name: "a node is silent", nodes: 2, run: func(t *testing.T, c *cluster) {
		if c.kill == nil {
			return
		}
		gone := c.on(c.last())
		c.kill(c.last().Adapter)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ids, _, err := c.fetch(ctx, adapter.Selection{})
		if !slices.Equal(ids, c.without(gone)) {
			t.Errorf("Fetch: %q", ids)
		}
		c.isMissing(t, err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Fetch: %v", err)
		}
		// When it is taken for dead, nobody waits for it.
		c.until(t, "the node is taken for dead", func() bool {
			_, _, err := c.fetch(brief(t), adapter.Selection{})
			return err == nil
		})
		c.finds(t, adapter.Selection{}, c.without(gone)...)
	}},
	{name: "a node closes", nodes: 2, run: func(t *testing.T, c *cluster) {
		gone := c.on(c.last())
		if err := c.last().Close(); err != nil {
			t.Error(err)
		}
		c.until(t, "the node has gone", func() bool {
			ids, _, err := c.fetch(brief(t), adapter.Selection{})
			return err == nil && slices.Equal(ids, c.without(gone))
		})
	}},
}

// brief is a context with a deadline.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// isMissing checks that an error names the last node.
func (c *cluster) isMissing(t *testing.T, err error) {
	t.Helper()
	var e *adapter.IncompleteError
	if !errors.As(err, &e) {
		t.Errorf("%v, want an IncompleteError", err)
		return
	}
	if e.Missing != 1 {
		t.Errorf("%d missing: %v", e.Missing, e)
	}
	if named, ok := c.last().Adapter.(interface{ UID() string }); ok && !slices.Equal(e.Nodes, []string{named.UID()}) {
		t.Errorf("%q missing, want %s", e.Nodes, named.UID())
	}
}
