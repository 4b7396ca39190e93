// Chat is the main job of Perch in one program: a NestJS-style gateway on the
// namespace /chat, and a page that talks to it with the official Socket.IO client.
//
//	go run ./examples/chat
//
// serves both on port 3000; -addr takes another. The client comes from the directory
// -client, from where npm put socket.io-client, or from the official CDN.
package main
