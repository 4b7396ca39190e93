package orders

import (
	"context"

	"github.com/perch-go/perch"
)

// Gateway is safe for concurrent use. It lets customers watch their orders.
type Gateway struct {
	perch.Base
	service *Service
}

// NewGateway is given the service.
func NewGateway(s *Service) *Gateway { return &Gateway{service: s} }

// Options serves the gateway on /orders.
func (g *Gateway) Options() perch.Options { return perch.Options{Namespace: "orders"} }

// Register names the event.
func (g *Gateway) Register(r *perch.Router) { perch.On(r, "watch", g.Watch) }

// Watch answers with the order as it is; from then on the client gets "changed".
func (g *Gateway) Watch(ctx context.Context, id string) (Order, error) {
	if err := perch.SocketFrom(ctx).Join("order:" + id); err != nil {
		return Order{}, err
	}
	o, err := g.service.Get(id)
	if err != nil {
		return Order{}, perch.Errorf("NO_SUCH_ORDER", "there is no order %q yet", id)
	}
	return o, nil
}
