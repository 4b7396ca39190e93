package main

// guard is one that can be taken out.
type guard struct {
	row  string // of docs/security.md: what stands before the colon
	what string // is taken out
	file string // from the root
	cuts []cut
	test string // package.Test, as docs/security.md has it
}

// cut replaces a text that stands in the file once.
type cut struct{ old, new string }

// guards are those of the rows of docs/security.md, in that order.
var guards = []guard{
	{"CVE-2017-16031", "randomness of session ids", "engineio/identity.go", []cut{{`"crypto/rand"`, `"math/rand"`}}, "engineio.TestCVE_2017_16031"},
	{"CVE-2017-16031", "length of session ids", "engineio/identity.go", []cut{{"rand.Read(b[:])", "rand.Read(b[:8])"}}, "engineio.TestCVE_2017_16031"},
	{"CVE-2017-16031", "randomness of socket ids", "socketio/socket.go", []cut{{`"crypto/rand"`, `"math/rand"`}}, "socketio.TestCVE_2017_16031"},
	{"CVE-2020-28481", "the list of origins", "engineio/cors.go", []cut{{`|| sameOrigin(origin, r.Host)
}`, `|| origin != ""
}`}}, "engineio.TestCVE_2020_28481"},
	{"CVE-2024-38355", "recovery from panics of handlers", "socketio/serve.go", []cut{{`s.logPanic(v, "event", e.Name())`, `panic(v) // in the copy: what the vulnerable code did`}}, "socketio.TestCVE_2024_38355"},
	{"CVE-2020-36048", "the limit of bodies", "engineio/polling.go", []cut{{"buf.read(w, r, s.server.opts.MaxPayload)", "buf.read(w, r, 1<<40)"}}, "engineio.TestCVE_2020_36048"},
	{"CVE-2020-36048", "the limit of what is read of a body", "engineio/body.go", []cut{
		{"src = http.MaxBytesReader(w, src, limit)", "_ = limit"},
		{"case int64(len(b.b)) > limit:", "case int64(len(b.b)) > 1<<25:"},
	}, "engineio.TestCVE_2020_36048"},
	{"CVE-2022-21676", "an error's way out of bad frames", "engineio/violation.go", []cut{{"errors.As(err, &violation)", "_ = errors.As"}}, "engineio.TestCVE_2022_21676"},
	{"CVE-2022-41940", "indifference to clients that are gone", "engineio/refuse.go", []cut{{"_, _ = w.Write([]byte(body))", `if _, err := w.Write([]byte(body)); err != nil {
		panic(err) // in the copy: what the vulnerable code did
	}`}}, "engineio.TestCVE_2022_41940"},
	{"CVE-2023-31125", "the list of transports", "engineio/server.go", []cut{{"if !s.opts.serves(transport) {", "if transport == \"\" {"}}, "engineio.TestCVE_2023_31125"},
	{"CVE-2026-59724", "the look whether a session is there", "engineio/server.go", []cut{{"case session == nil || session.plain:", "case session != nil && session.plain:"}}, "engineio.TestCVE_2026_59724"},
	{"CVE-2026-59725", "the refusal of binary bodies", "engineio/polling.go", []cut{{"if binary && s.v3 == nil {", "if binary && s.v3 != nil {"}}, "engineio.TestCVE_2026_59725"},
	{"CVE-2026-59725", "the deadline of bodies", "engineio/polling.go", []cut{{"SetReadDeadline(time.Now().Add(s.server.opts.Limits.BodyTimeout))", "SetReadDeadline(time.Now().Add(100 * s.server.opts.Limits.BodyTimeout))"}}, "engineio.TestBodyTimeout"},
	{"CVE-2020-36049", "one pass over the packets of a payload", "engineio/polling.go", []cut{{"body = rest", "body = bytes.Clone(rest)"}}, "engineio.TestCVE_2020_36049"},
	{"CVE-2020-36049", "one pass over the arguments of a packet", "socketio/parser/parse.go", []cut{{"p.addSpan(i, end)", "p.text = append([]byte(nil), b...)\n\t\tp.addSpan(i, end)"}}, "parser.TestCVE_2020_36049"},
	{"CVE-2022-2421", "the check of attachment indexes", "socketio/parser/placeholder.go", []cut{{"err != nil || int(k) >= n {", "err == nil && int(k) < 0 {"}}, "parser.TestCVE_2022_2421"},
	{"CVE-2023-32695", "the check of event names", "socketio/parser/parse.go", []cut{{`case c != '"':
		return ErrEventName`, `case c == 0:
		return ErrEventName`}}, "parser.TestCVE_2023_32695"},
	{"CVE-2026-33151", "the limit of announced attachments", "socketio/parser/parse.go", []cut{{"|| n > uint64(l.MaxAttachments):", "|| n == 0:"}}, "parser.TestCVE_2026_33151"},
	{"CVE-2026-33151", "the count of attachments' bytes", "socketio/conn.go", []cut{{"c.charge(e, len(data))", "c.charge(e, 0*len(data))"}}, "socketio.TestAttachmentsAreBounded"},
	{"CVE-2026-33151", "the limit of attachments' bytes", "socketio/conn.go", []cut{{"p.bytes > c.server.opts.Limits.MaxAttachmentBytes {", "p.bytes < 0 {"}}, "socketio.TestMaxAttachmentBytes"},
	{"CVE-2026-33151", "the limit of bytes attached within a packet", "socketio/event.go", []cut{{"&& attachedBytes(e.attachments) > s.opts.Limits.MaxAttachmentBytes {", "&& attachedBytes(e.attachments) < 0 {"}}, "socketio.TestMaxAttachmentBytes"},
	{"CVE-2026-33151", "the time for attachments", "socketio/conn.go", []cut{{"&p.timer, c.server.opts.Limits.AttachmentTimeout,", "&p.timer, 1000*c.server.opts.Limits.AttachmentTimeout,"}}, "socketio.TestAttachmentTimeout"},
	{"CVE-2026-69185", "the refusal of no attachments", "socketio/parser/parse.go", []cut{{"b[end] != '-' || ok && n == 0:", "b[end] != '-':"}}, "parser.TestCVE_2026_69185"},
	{"CVE-2016-10536", "verification of certificates", "client/manager.go", []cut{
		{"import (\n", "import (\n\t\"crypto/tls\"\n"},
		{"m.own = &http.Transport{", "m.own = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},"},
	}, "client.TestCVE_2016_10536"},
	{"CVE-2021-31597", "verification of certificates", "client/manager.go", []cut{
		{"import (\n", "import (\n\t\"crypto/tls\"\n"},
		{"m.own = &http.Transport{", "m.own = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},"},
	}, "client.TestCVE_2016_10536"},
	{"CVE-2024-47764", "validation of the cookie", "engineio/identity.go", []cut{{"if err := t.Valid(); err != nil {", "if err := t.Valid(); err != nil && c == nil {"}}, "engineio.TestCVE_2024_47764"},
	{"CVE-2016-10542", "the limit of messages", "internal/wsframe/wsframe.go", []cut{{"if h.Length > r.Limit-int64(len(r.message)) {", "if h.Length < 0 {"}}, "wsframe.TestCVE_2016_10542"},
	{"CVE-2016-10542", "the limit after inflation", "internal/wsframe/wsframe.go", []cut{{"inflate(payload, r.Limit)", "inflate(payload, 1<<40)"}}, "wsframe.TestCVE_2016_10542"},
	{"GHSA-5v72-xg48-5rpm", "the list of parameters", "internal/wsframe/extension.go", []cut{{"default:\n\t\t\treturn \"\"\n", "default:\n"}}, "wsframe.TestGHSA_5v72_xg48_5rpm"},
	{"GHSA-5v72-xg48-5rpm", "the grammar of parameters", "internal/wsframe/extension.go", []cut{{`if param.value = p.value(); param.value == "" {`, `if param.value = p.value(); false {`}}, "wsframe.TestGHSA_5v72_xg48_5rpm"},
	{"CVE-2021-32640", "one pass over subprotocols", "engineio/websocket.go", []cut{{"first = strings.TrimSpace(first)", `for strings.HasSuffix(first, " ") {
		first = string(append([]byte(nil), first[:len(first)-1]...))
	}`}}, "engineio.TestCVE_2021_32640"},
	{"CVE-2021-32640", "one pass over extensions", "internal/wsframe/extension.go", []cut{{`{ c.rest = strings.TrimLeft(c.rest, " \t") }`, `{
	for strings.HasPrefix(c.rest, " ") {
		c.rest = string(append([]byte(nil), c.rest[1:]...))
	}
}`}}, "engineio.TestCVE_2021_32640"},
	{"CVE-2024-37890", "the limit of headers", "listen.go", []cut{{"MaxHeaderBytes:    a.headerBytes,", "MaxHeaderBytes:    1 << 30,"}}, "perch.TestCVE_2024_37890"},
	{"CVE-2024-37890", "the limit of a handshake's headers", "engineio/admission.go", []cut{{"if handshakeSize(r) > l.HandshakeBytes {", "if handshakeSize(r) < 0 {"}}, "engineio.TestHandshakeBytes"},
	{"CVE-2026-48779", "the limit of fragments", "internal/wsframe/wsframe.go", []cut{{"r.fragments > cmp.Or(r.Fragments, ", "r.fragments < -cmp.Or(r.Fragments, "}}, "wsframe.TestCVE_2026_48779"},
	{"CVE-2026-48779", "the time for a message", "engineio/violation.go", []cut{{"*time.Millisecond <= s.server.opts.Limits.MessageTimeout {", "*time.Millisecond <= 1000*s.server.opts.Limits.MessageTimeout {"}}, "engineio.TestMessageTimeout"},

	{"CONNECT burst", "the mark that a namespace is being joined", "socketio/conn.go", []cut{{"if old := c.find(e.packet.Namespace); old != nil {", "if old := c.find(e.packet.Namespace); old != nil && old.state.Load() != statePending {"}}, "socketio.TestConnectBurst"},
	{"CONNECT burst", "the charge of a socket that is not let in yet", "socketio/conn.go", []cut{{"\ts.charge()\n", ""}}, "socketio.TestConnectFlood"},
	{"CONNECT burst", "the limit of packets in a POST", "engineio/polling.go", []cut{{"len(body) > most && bytes.Count(", "len(body) < 0 && bytes.Count("}}, "engineio.TestPacketsPerPost"},
	{"CONNECT burst", "the limit of auths", "socketio/conn.go", []cut{{"c.auths()+len(e.packet.Data) > maxAuths {", "c.auths() < 0 {"}}, "socketio.TestConnectAuths"},
	{"Slow consumer", "the outbound budget", "engineio/write.go", []cut{{"return s.bytes+bytes <= o.OutboundBytes && int(s.packets)+packets <= o.OutboundPackets", "return o != nil"}}, "engineio.TestOutboundBudget"},
	{"Event flood", "the inbound budget", "engineio/inbound.go", []cut{{"if s.inboundWithin(1, 1) {", "if s.inboundWithin(1000, 1) {"}}, "engineio.TestInboundBudget"},
	{"Event flood", "the rate of events", "socketio/rate.go", []cut{{"if full-now > l.window {", "if full < now {"}}, "socketio.TestEventRate"},
	{"Event flood", "the end of a client that does not stop", "socketio/rate.go", []cut{{"most > 0 && excesses == most {", "most < 0 && excesses == most {"}}, "socketio.TestMaxExcesses"},
	{"Event flood", "the budget that pings count in", "engineio/websocket.go", []cut{{"if s.reserve(len(frame), 1) != nil {", "if s.state != open {"}}, "engineio.TestPingFlood"},
	{"Connection flood", "the limit of handshakes under way", "engineio/admission.go", []cut{{"if s.pending.Add(1) > int64(l.MaxHandshakes) {", "if s.pending.Add(1) < 0 {"}}, "engineio.TestPendingHandshakes"},
	{"Connection flood", "the time of a handshake", "engineio/admission.go", []cut{{"context.WithTimeoutCause(r.Context(), s.opts.Limits.HandshakeTimeout,", "context.WithTimeoutCause(r.Context(), 1000*s.opts.Limits.HandshakeTimeout,"}}, "engineio.TestHandshakeTimeout"},
	{"Connection flood", "the limit of sessions", "engineio/admission.go", []cut{{"if s.places.Add(1) > int64(l.MaxSessions) && l.MaxSessions > 0 {", "if s.places.Add(1) < 0 {"}}, "engineio.TestMaxSessions"},
	{"Connection flood", "the limit of an address", "engineio/addresses.go", []cut{{"case most > 0 && int(e.held) >= most:", "case most < 0:"}}, "engineio.TestMaxPerAddress"},
	{"Connection flood", "the rate of an address", "engineio/addresses.go", []cut{{"(full-now-1)/a.interval >= int64(a.limits.HandshakeBurst) {", "(full-now-1)/a.interval < 0 {"}}, "engineio.TestHandshakeRate"},
	{"Connection flood", "the limit of addresses remembered", "engineio/addresses.go", []cut{{"if a.idleCount >= a.limits.MaxAddresses {", "if a.idleCount < 0 {"}}, "engineio.TestAddressesAreBounded"},
	{"Unknown-namespace spam", "the limit of refusals", "socketio/limits.go", []cut{{"spent := int(c.refusals) >= most", "spent := most < 0"}}, "socketio.TestMaxRefusals"},
	{"Idle sessions", "the time to join a namespace", "socketio/conn.go", []cut{{"c.abort(engineio.ReasonForcedServerClose, errConnectTimeout)", "_ = errConnectTimeout"}}, "socketio.TestConnectTimeout"},
	{"Idle sessions", "the time to answer a ping", "engineio/heartbeat.go", []cut{{"case s.awaitingPong || s.paused.Load():", "case s.paused.Load():"}}, "engineio.TestHeartbeat"},
	{"Idle sessions", "the time to upgrade", "engineio/websocket.go", []cut{{"s.server.opts.UpgradeTimeout, func() { ws.abandon() })", "s.server.opts.UpgradeTimeout, func() {})"}}, "engineio.TestAbandonedUpgrade"},
	{"Slow loris", "the deadline of headers", "listen.go", []cut{{"ReadHeaderTimeout: 10 * time.Second,", ""}}, "perch.TestSlowHeaders"},
	{"Slow loris", "the deadline of bodies", "engineio/polling.go", []cut{{"SetReadDeadline(time.Now().Add(s.server.opts.Limits.BodyTimeout))", "SetReadDeadline(time.Now().Add(100 * s.server.opts.Limits.BodyTimeout))"}}, "engineio.TestBodyTimeout"},
	{"Slow loris", "the deadline of answers", "engineio/polling.go", []cut{{"SetWriteDeadline(time.Now().Add(s.server.opts.Limits.AnswerTimeout))\n\tboundBody", "SetWriteDeadline(time.Time{})\n\tboundBody"}}, "engineio.TestAnswerTimeout"},
	{"Oversized poll after upgrade, endless reconnects", "the ban", "engineio/addresses.go", []cut{{"case e.banned > now:", "case e.banned < 0:"}}, "engineio.TestStrikes"},
	{"JSON depth, duplicate keys, giant numbers, ack ids", "the limit of depth", "internal/jsonscan/jsonscan.go", []cut{{"if depth++; depth > limit {", "if depth++; depth > MaxDepth {"}}, "parser.TestParseDepth"},
	{"JSON depth, duplicate keys, giant numbers, ack ids", "the limit of ack ids", "socketio/parser/parse.go", []cut{{"n = n*10 + uint64(d); n > limit {", "n = n*10 + uint64(d); n > limit && limit != MaxID {"}}, "parser.TestParseReasons"},
	{"Dynamic namespace creation", "the limit of namespaces", "socketio/dynamic.go", []cut{{"if s.dynamic >= s.opts.MaxNamespaces {", "if s.dynamic < 0 {"}}, "socketio.TestMaxNamespaces"},
	{"Dynamic namespace creation", "the limit of names", "socketio/dynamic.go", []cut{{"&& len(name) <= maxChildName:", "&& len(name) > 0:"}}, "socketio.TestDynamicNamespaces"},
	{"Dynamic namespace creation", "the limit of a connection's namespaces", "socketio/conn.go", []cut{{"if int(c.live) >= c.server.opts.Limits.MaxSockets && ns.dynamic() {", "if c.live < 0 && ns.dynamic() {"}}, "socketio.TestMaxJoined"},
	{"Dynamic namespace creation", "the end of namespaces that are empty", "socketio/dynamic.go", []cut{{"n.server.abandon(n, n.afterlife())", "_ = n.afterlife"}}, "socketio.TestCleanup"},
	{"Ack maps", "the limit of acknowledgements awaited", "socketio/limits.go", []cut{{"if pending < s.conn.server.opts.Limits.MaxPendingAcks {", "if pending >= 0 {"}}, "socketio.TestMaxPendingAcks"},
	{"Ack maps", "the time an acknowledgement is awaited", "socketio/ack.go", []cut{{"cmp.Or(f.timeout, s.conn.server.opts.Limits.AckTimeout)", "cmp.Or(f.timeout)"}}, "socketio.TestAckTimeout"},
	{"Ack maps", "the time acknowledgements of a broadcast are awaited", "socketio/answers.go", []cut{{"cmp.Or(b.timeout, b.ns.server.opts.Limits.AckTimeout)", "cmp.Or(b.timeout)"}}, "socketio.TestAckTimeout"},
	{"Recovery buffer", "the limit of packets and bytes", "socketio/adapter/backlog.go", []cut{{"for len(b.segments) > 0 && (b.kept", "for len(b.segments) < 0 && (b.kept"}}, "adapter.TestBacklogIsBounded"},
	{"Recovery buffer", "the limit of sessions", "socketio/adapter/recovering.go", []cut{{"for len(r.sessions) > 0 && r.opts", "for len(r.sessions) < 0 && r.opts"}}, "adapter.TestSessionsAreBounded"},
	{"Recovery buffer", "the end of the ghost", "socketio/recovery.go", []cut{{"if held == nil {\n\t\t\tt.pid", "if held == nil || held != nil {\n\t\t\tt.pid"}}, "socketio.TestRecoveryAwaitsTheGhost"},
	{"Cross-site WS hijack", "the origin of upgrades", "engineio/server.go", []cut{{"if s.refuseForeign(w, r, nil) ||", "if !isUpgrade(r) && s.refuseForeign(w, r, nil) ||"}}, "engineio.TestCVE_2020_28481"},
	{"Cross-site WS hijack", "the origin of plain upgrades", "engineio/plain.go", []cut{{"if s.refuseForeign(w, r, p) ||", "if"}}, "engineio.TestPlainRefused"},
	{"Compression", "the option's being off", "engineio/websocket.go", []cut{{"if s.opts.PerMessageDeflate != nil {", "if s != nil {"}}, "engineio.TestDeflateHeader"},
	{"Compression", "the limit after inflation", "internal/wsframe/wsframe.go", []cut{{"inflate(payload, r.Limit)", "inflate(payload, 1<<40)"}}, "engineio.TestDeflateViolations"},

	{"Cookie attributes", "HttpOnly", "engineio/identity.go", []cut{{`t.HttpOnly, t.Value = true, ""`, `t.Value = ""`}}, "engineio.TestCookie"},
	{"Cookie attributes", "SameSite", "engineio/identity.go", []cut{{"t.SameSite = http.SameSiteLaxMode", "_ = t"}}, "engineio.TestCookie"},
	{"HTML", "nosniff of refusals", "engineio/refuse.go", []cut{{`h.Set("X-Content-Type-Options", "nosniff")`, ""}}, "engineio.TestNoReflection"},
	{"HTML", "the escaping of what AllowRequest says", "engineio/refuse.go", []cut{{"noMarkup.Replace(e.Message)", "e.Message"}}, "engineio.TestNoReflection"},
	{"HTML", "text for markup on the chat's page", "examples/chat/page/dom.js", []cut{{"place.textContent = message;", "place.innerHTML = message;"}}, "main.TestPageShowsText"},
	{"JSONP", "digits alone", "engineio/jsonp.go", []cut{{"if '0' <= r && r <= '9' {", "if r != 0 {"}}, "engineio.TestNoReflection"},
	{"JSONP", "the page's origin", "engineio/server.go", []cut{{"|| s.refuseJSONP(w, r) ||", "||"}}, "engineio.TestJSONPOrigins"},
	{"Error texts", "the mask of handlers' errors", "error.go", []cut{{"return internal, false", "return &Error{Code: CodeInternal, Message: err.Error()}, false"}}, "perch.TestAnswers"},
	{"Error texts", "the mask of middlewares' errors", "socketio/serve.go", []cut{{"return &ConnectError{Message: messageInternal,", "return &ConnectError{Message: reason.Error(),"}}, "socketio.TestMiddleware"},
	{"Forwarding headers", "the list of proxies", "engineio/handshake.go", []cut{{"if len(trusted) == 0 || !isTrusted(address, trusted) {", "if len(trusted) == 0 {"}}, "engineio.TestHandshake"},
	{"Rooms", "the limit of a socket's rooms", "socketio/limits.go", []cut{{"|| len(in)-1 <= most {", "|| most > 0 {"}}, "socketio.TestMaxRooms"},
}
