package perch_test

import (
	"fmt"
	"log"

	"github.com/perch-go/perch"
)

// Orders is a service that tells clients what has happened. It knows no gateway.
type Orders struct{ live *perch.Emitter }

func NewOrders(e *perch.Emitter) *Orders { return &Orders{live: e} }

func (o *Orders) Ship(id, customer string) error {
	return o.live.Of("orders").To("customer:"+customer).Emit("shipped", id)
}

// OrdersGateway needs the service, which needs an Emitter, which needs nothing.
type OrdersGateway struct {
	perch.Base
	orders *Orders
}

func NewOrdersGateway(o *Orders) *OrdersGateway { return &OrdersGateway{orders: o} }

func (g *OrdersGateway) Options() perch.Options { return perch.Options{Namespace: "orders"} }

func (g *OrdersGateway) Register(*perch.Router) {}

// A service sends without a gateway: the Emitter is made first, the app last.
func ExampleEmitter() {
	emitter := perch.NewEmitter()
	orders := NewOrders(emitter)
	app, err := perch.New(
		perch.WithGateways(NewOrdersGateway(orders)),
		perch.WithEmitter(emitter),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(orders.Ship("A-1", "ada")) // from Start on it arrives
	_ = app
	// Output:
	// perch: the app is not started
}
