// The server nest of serverbench: a gateway of NestJS, all defaults, and GET /gc. Its decorators are called by hand so that no
// build step is needed.
import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";

class Gateway {
  echo(payload) {
    return payload;
  }
  bcast(payload) {
    this.server.emit("bcast", payload);
  }
  join(room, socket) {
    socket.join(room);
    return room;
  }
  room(room) {
    this.server.to(room).emit("bcast", room);
  }
}
for (const event of ["echo", "bcast", "join", "room"]) {
  SubscribeMessage(event)(Gateway.prototype, event, Object.getOwnPropertyDescriptor(Gateway.prototype, event));
  MessageBody()(Gateway.prototype, event, 0);
}
ConnectedSocket()(Gateway.prototype, "join", 1);
WebSocketServer()(Gateway.prototype, "server");
WebSocketGateway()(Gateway);

class App {}
Module({ providers: [Gateway] })(App);

const app = await NestFactory.create(App, { logger: ["error", "warn"] });
app.getHttpAdapter().get("/gc", (request, response) => {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  response.end(JSON.stringify({ heap_used: heapUsed, external }));
});
await app.listen(0, "127.0.0.1");
console.log(`listening on 127.0.0.1:${app.getHttpServer().address().port}`);
