// Package orders is a module with a service, which sends by the Emitter, a gateway that needs the
// service, and an HTTP controller that needs the service and the chat's gateway.
package orders
