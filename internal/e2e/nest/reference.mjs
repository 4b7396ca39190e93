// The reference of nest.test.mjs: gateways of NestJS, whose decorators are called by hand so that no build step is needed.
// What they do, ours do in nest_test.go under the same events.
import "reflect-metadata";
import { BadRequestException, Module, UseFilters, UseGuards, UseInterceptors, UsePipes } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Ack, ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WsException } from "@nestjs/websockets";
import { from, of, throwError } from "rxjs";
import { concatWith, map, tap } from "rxjs/operators";

const gateway = (options, type) => (WebSocketGateway(options)(type), type);

/** Declares a method: its decorators, and those of its parameters. */
function declare(type, name, decorators, ...parameters) {
  const method = Object.getOwnPropertyDescriptor(type.prototype, name);
  for (const decorator of decorators) decorator(type.prototype, name, method);
  parameters.forEach((decorator, i) => decorator?.(type.prototype, name, i));
}

// N-26: what a handler may return.
const returned = {
  undefined: () => undefined,
  null: () => null,
  zero: () => 0,
  "empty text": () => "",
  false: () => false,
  text: () => "text",
  array: () => [1, 2],
  "empty array": () => [],
  object: () => ({ a: 1 }),
  promise: async () => "later",
  response: () => ({ event: "replied", data: { a: 1 } }),
  "response without data": () => ({ event: "replied" }),
  "response of more": () => ({ event: "replied", data: 1, more: 2 }),
  "response without event": () => ({ event: "", data: 1 }),
  stream: () => from([0, 1, 2]).pipe(map((data) => ({ event: "stream", data }))),
  "stream of values": () => from([0, 1, 2]),
  "stream that fails": () => of({ event: "stream", data: 0 }).pipe(concatWith(throwError(() => new WsException("no more")))),
};

// N-35: what it may throw.
const thrown = {
  text: () => new WsException("Invalid credentials."),
  "empty text": () => new WsException(""),
  number: () => new WsException(42),
  object: () => new WsException({ status: "error", code: "CODE", message: "m" }),
  array: () => new WsException(["a", { b: 1 }]),
  "HTTP exception": () => new BadRequestException("a secret of HTTP's"),
  error: () => new Error("a secret"),
  "no error": () => "a secret",
};

class Main {
  left = [];
  trail = [];

  async handleConnection(socket) {
    if (!socket.handshake.auth.slow) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
    socket.data.user = "known";
  }

  handleDisconnect(socket, reason) {
    this.left.push([socket.handshake.auth.key, reason]);
  }

  sync() { return 1; }
  who(socket) { return { user: socket.data.user ?? "unknown" }; }
  why(key) { return this.left.find(([k]) => k === key)?.[1] ?? "not yet"; }
  data(data) { return { data }; }
  key(k) { return k * 2; }
  ack(data, ack) { setTimeout(() => ack?.({ data }), 20); }
  ackAndReturn(ack) { ack?.("acked"); return "returned"; }
  ackAndReply(ack) { ack?.("acked"); return { event: "replied", data: "reply" }; }
  first(socket) { socket.emit("ran", 1); return "first"; }
  second(socket) { socket.emit("ran", 2); return "second"; }
  async slow() { await new Promise((resolve) => setTimeout(resolve, 200)); return "slow"; }
  fast() { return "fast"; }
  refused() { return "not refused"; }
  staged() { this.trail.push("handler"); return "done"; }
  stages() { return this.trail.splice(0); }
  fail(data) { throw thrown[Array.isArray(data) ? data[0] : data](); }
  failBytes() { throw new WsException("Invalid credentials."); }
  filtered() { throw new WsException("for filters"); }
  handled() { throw new WsException("dealt with"); }
}
gateway({}, Main);
for (const [kind, value] of Object.entries(returned)) {
  Main.prototype[kind] = value;
  declare(Main, kind, [SubscribeMessage(`returns ${kind}`)]);
}
const subscribe = (name, ...parameters) => declare(Main, name, [SubscribeMessage(name)], ...parameters);
subscribe("sync");
subscribe("who", ConnectedSocket());
subscribe("why", MessageBody());
subscribe("data", MessageBody());
subscribe("key", MessageBody("k"));
subscribe("ack", MessageBody(), Ack());
subscribe("ackAndReturn", Ack());
subscribe("ackAndReply", Ack());
declare(Main, "first", [SubscribeMessage("both")], ConnectedSocket());
declare(Main, "second", [SubscribeMessage("both")], ConnectedSocket());
subscribe("slow");
subscribe("fast");
declare(Main, "fail", [SubscribeMessage("fail")], MessageBody());
declare(Main, "failBytes", [SubscribeMessage("fail bytes")]);

// Stages note that they ran, where the event is "staged" or "filtered".
const trail = (name) => (host) => {
  if (host.switchToWs().getPattern() === "staged") main.trail.push(name);
};
const guard = (name) => ({ canActivate: (host) => (trail(`guard ${name}`)(host), true) });
const interceptor = (name) => ({
  intercept: (host, next) => (trail(`in ${name}`)(host), next.handle().pipe(tap({ complete: () => trail(`out ${name}`)(host) }))),
});
const pipe = (name) => ({
  // A pipe is not told which event it is for, and is given the socket too.
  transform: (value, { type }) => (type === "body" && value === "staged" && main.trail.push(`pipe ${name}`), value),
});
const filter = (name) => ({ catch: (err, host) => void host.switchToWs().getClient().emit("filtered", name, err.message) });
UseGuards(guard("gateway"))(Main);
UseInterceptors(interceptor("gateway"))(Main);
UsePipes(pipe("gateway"))(Main);
declare(Main, "staged", [
  SubscribeMessage("staged"), UseGuards(guard("handler 1"), guard("handler 2")), UseInterceptors(interceptor("handler")), UsePipes(pipe("handler")),
], MessageBody());
subscribe("stages");
declare(Main, "refused", [SubscribeMessage("refused"), UseGuards({ canActivate: () => false })]);
declare(Main, "filtered", [SubscribeMessage("filtered"), UseFilters(filter("handler 1"), filter("handler 2"))]);
declare(Main, "handled", [SubscribeMessage("handled"), UseFilters({ catch: () => undefined })]);

// The article's object, on a path of its own so that the other has none (N-45).
class Open {
  echo(data) { return data; }
}
gateway({ path: "/open", namespace: "chat", cors: { origin: "*", methods: ["GET", "POST"] } }, Open);
declare(Open, "echo", [SubscribeMessage("echo")], MessageBody());

class App {}
Module({ providers: [Main, Open] })(App);

const app = await NestFactory.create(App, { logger: false });
app.useGlobalGuards(guard("app"));
app.useGlobalInterceptors(interceptor("app"));
app.useGlobalPipes(pipe("app"));
const main = app.get(Main);
await app.listen(0, "127.0.0.1");
process.once("SIGTERM", () => app.close());
console.log(`listening on http://127.0.0.1:${app.getHttpServer().address().port}`);
