// Fx is a program of two modules, put together by go.uber.org/fx: package chat has a gateway and
// the history that it needs; package orders a service, a gateway and an HTTP controller.
//
//	go run ./examples/fx
//
// serves both on port 3000; -addr takes another. Then
//
//	curl -X POST localhost:3000/orders/A-1
//	curl -X POST localhost:3000/orders/A-1/ship
//
// tells those who watch the order, and everyone in the chat.
package main
