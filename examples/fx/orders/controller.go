package orders

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/perch-go/perch/examples/fx/chat"
)

// Controller is safe for concurrent use. It is the orders over HTTP.
type Controller struct {
	service *Service
	chat    *chat.Gateway
}

// NewController is given the service of this module and the gateway of another.
func NewController(s *Service, c *chat.Gateway) *Controller { return &Controller{service: s, chat: c} }

// Register puts the routes on a mux.
func (c *Controller) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /orders/{id}", c.create)
	mux.HandleFunc("POST /orders/{id}/ship", c.ship)
}

func (c *Controller) create(w http.ResponseWriter, r *http.Request) {
	o, err := c.service.Create(r.PathValue("id"))
	answer(w, o, err)
}

// ship tells who watches the order, by the service, and everyone in the chat.
func (c *Controller) ship(w http.ResponseWriter, r *http.Request) {
	o, err := c.service.Ship(r.PathValue("id"))
	if err == nil {
		_, err = c.chat.Say(r.Context(), chat.Message{From: "the shop", Text: "order " + o.ID + " is on its way"})
	}
	answer(w, o, err)
}

func answer(w http.ResponseWriter, o Order, err error) {
	switch {
	case errors.Is(err, ErrExists):
		http.Error(w, err.Error(), http.StatusConflict)
	case errors.Is(err, ErrUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, "it did not work", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(o)
	}
}
