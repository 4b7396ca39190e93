package socketio

import "github.com/perch-go/perch/socketio/adapter"

// host is a namespace as its adapter sees it.
type host Namespace

func (h *host) Name() string { return h.name }

func (h *host) NextID() uint64 { return h.ids.Add(1) - 1 }

func (h *host) ServerSideEvent(e adapter.ServerEvent) {
	args := e.Arguments
	if args == nil {
		args = adapter.Values(nil)
	}
	h.inbox.push(&ServerEvent{name: e.Event, args: Reply{args}, send: e.Answer})
}

var _ adapter.Host = (*host)(nil)
