package orders

import (
	"errors"
	"sync"

	"github.com/perch-go/perch"
)

// Order is what is ordered, and how far it is.
type Order struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// What may be wrong with an order.
var (
	ErrExists  = errors.New("there is this order already")
	ErrUnknown = errors.New("there is no such order")
)

// Service is safe for concurrent use. It knows all orders and tells those who watch one. It sends
// by the Emitter: the gateway needs the service, which can therefore not need the gateway.
type Service struct {
	live *perch.Emitter

	mu     sync.Mutex
	orders map[string]Order
}

// NewService has no order yet.
func NewService(e *perch.Emitter) *Service {
	return &Service{live: e, orders: make(map[string]Order)}
}

// Create makes an order.
func (s *Service) Create(id string) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.orders[id]; ok {
		return Order{}, ErrExists
	}
	return s.set(Order{ID: id, State: "paid"})
}

// Ship sends an order on its way.
func (s *Service) Ship(id string) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.orders[id]; !ok {
		return Order{}, ErrUnknown
	}
	return s.set(Order{ID: id, State: "shipped"})
}

// set keeps an order and tells of it. Emit never waits, so the lock may be held, which keeps what
// is told in order.
func (s *Service) set(o Order) (Order, error) {
	s.orders[o.ID] = o
	return o, s.live.Of("orders").To("order:"+o.ID).Emit("changed", o)
}

// Get is an order.
func (s *Service) Get(id string) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[id]
	if !ok {
		return Order{}, ErrUnknown
	}
	return o, nil
}
