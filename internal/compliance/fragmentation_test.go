package compliance

// fragmentation is section 5.
func fragmentation() []scene {
	const one, two, question = "fragment1", "fragment2", "ping payload"
	type sender = func(c *client, frames ...frame)
	whole, each, octets := sender((*client).send), sender((*client).sendEach), sender((*client).sendOctets)
	bad := func(send sender, frames ...frame) func(*client) {
		return func(c *client) {
			send(c, frames...)
			c.failed(codeProtocol)
		}
	}
	good := func(send sender) func(*client) {
		return func(c *client) {
			send(c, firstText(one), last(two))
			c.want(opText, one+two)
			c.leave()
		}
	}
	withPing := func(send sender) func(*client) {
		return func(c *client) {
			send(c, firstText(one), ping(question), last(two))
			c.want(opPong, question)
			c.want(opText, one+two)
			c.leave()
		}
	}
	// Pings are answered while the message is under way, not only after it.
	underWay := func(send sender) func(*client) {
		return func(c *client) {
			send(c, firstText(one), more(two), ping("pongme 1"))
			c.want(opPong, "pongme 1")
			send(c, more("fragment3"), more("fragment4"), ping("pongme 2"))
			c.want(opPong, "pongme 2")
			send(c, last("fragment5"))
			c.want(opText, one+two+"fragment3fragment4fragment5")
			c.leave()
		}
	}
	ends, goesOn := last("continues nothing"), more("continues nothing")
	twice := func(f frame) []frame {
		return []frame{f, firstText(two), last("fragment3"), f, firstText(two), last("fragment3")}
	}
	return []scene{
		{id: "5.1", title: "ping in two fragments", play: bad(whole, frame{op: opPing, payload: one, open: true}, last(two))},
		{id: "5.2", title: "pong in two fragments", play: bad(whole, frame{op: opPong, payload: one, open: true}, last(two))},
		{id: "5.3", title: "text in two fragments", play: good(whole)},
		{id: "5.4", title: "text in two fragments, a write for each", play: good(each)},
		{id: "5.5", title: "text in two fragments, octet by octet", play: good(octets)},
		{id: "5.6", title: "text in two fragments, a ping between", play: withPing(whole)},
		{id: "5.7", title: "text in two fragments, a ping between, a write for each", play: withPing(each)},
		{id: "5.8", title: "text in two fragments, a ping between, octet by octet", play: withPing(octets)},
		{id: "5.9", title: "last fragment of nothing, then text", play: bad(whole, ends, text(hello))},
		{id: "5.10", title: "last fragment of nothing, then text, a write for each", play: bad(each, ends, text(hello))},
		{id: "5.11", title: "last fragment of nothing, then text, octet by octet", play: bad(octets, ends, text(hello))},
		{id: "5.12", title: "fragment of nothing, then text", play: bad(whole, goesOn, text(hello))},
		{id: "5.13", title: "fragment of nothing, then text, a write for each", play: bad(each, goesOn, text(hello))},
		{id: "5.14", title: "fragment of nothing, then text, octet by octet", play: bad(octets, goesOn, text(hello))},
		{id: "5.15", title: "text in two fragments, then a fragment of nothing, then text", play: func(c *client) {
			c.send(firstText(one), last(two), more("fragment3"), text("fragment4"))
			c.want(opText, one+two)
			c.failed(codeProtocol)
		}},
		{id: "5.16", title: "fragment of nothing, then text in two fragments, twice", play: bad(whole, twice(more(one))...)},
		{id: "5.17", title: "last fragment of nothing, then text in two fragments, twice", play: bad(whole, twice(last(one))...)},
		{id: "5.18", title: "text begun twice", play: bad(whole, firstText(one), text(two))},
		{id: "5.19", title: "text in five fragments with pings, answered meanwhile", play: underWay(whole)},
		{id: "5.20", title: "text in five fragments with pings, answered meanwhile, a write for each", play: underWay(each)},
	}
}
