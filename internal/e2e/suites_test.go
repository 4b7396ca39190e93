package e2e

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter/cluster"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

const (
	conformance = "github.com/perch-go/perch/internal/e2e/conformance"
	chat        = "github.com/perch-go/perch/examples/chat"

	anyPort = "127.0.0.1:0"
)

// The suites run one after the other, not in parallel: the profiles have heartbeats of 300 ms and 200 ms, which a crowded
// machine would miss.

func TestEngine(t *testing.T) {
	suite(t, "engine.test.mjs", map[string]string{
		"PERCH_ENGINE_URL": start(t, conformance, "-profile", "engine", "-addr", anyPort),
	})
}

func TestProtocol(t *testing.T) {
	suite(t, "protocol.test.mjs", map[string]string{
		"PERCH_PROTOCOL_URL": start(t, conformance, "-profile", "protocol", "-addr", anyPort),
	})
}

func TestSocketIO(t *testing.T) {
	suite(t, "socketio.test.mjs", map[string]string{
		"PERCH_PROTOCOL_URL": start(t, conformance, "-profile", "protocol", "-addr", anyPort),
	})
}

func TestLab(t *testing.T) {
	nodes := cluster.New(cluster.NewMemory(nil).Open, cluster.Options{})
	suite(t, "lab.test.mjs", map[string]string{
		"PERCH_LAB_URL":    startLab(t),
		"PERCH_DOOMED_URL": startLab(t),
		"PERCH_NODE_A_URL": startLabWith(t, socketio.Options{Adapter: nodes}),
		"PERCH_NODE_B_URL": startLabWith(t, socketio.Options{Adapter: nodes}),
	})
}

// The lab again, for clients that speak MessagePack. The same tests run against the reference server with its parser.
func TestMessagePack(t *testing.T) {
	suite(t, "msgpack.test.mjs", map[string]string{
		"PERCH_LAB_URL":        startLabWith(t, socketio.Options{Parser: msgpack.Parser{}}),
		"PERCH_RECOVERING_URL": startLabWith(t, socketio.Options{Parser: msgpack.Parser{}, Recovery: &socketio.Recovery{}}),
	})
}

func TestMessagePackBrowser(t *testing.T) {
	suite(t, "msgpack.browser.test.mjs", map[string]string{
		"PERCH_LAB_URL": startLabWith(t, socketio.Options{
			Parser: msgpack.Parser{}, Client: os.DirFS(filepath.Join(packages(t), "socket.io-client", "dist")),
		}),
		"PERCH_CHROMIUM": chromium(t),
	})
}

func TestChat(t *testing.T) {
	suite(t, "chat.test.mjs", map[string]string{
		"PERCH_CHAT_URL": startChat(t),
	})
}

func TestBrowser(t *testing.T) {
	page, err := filepath.Abs("../../examples/chat/page")
	if err != nil {
		t.Fatal(err)
	}
	suite(t, "browser.test.mjs", map[string]string{
		"PERCH_CHAT_URL":    startChat(t),
		"PERCH_PAGE":        page,
		"PERCH_CHROMIUM":    chromium(t),
		"PERCH_SCREENSHOTS": cmp.Or(os.Getenv("PERCH_SCREENSHOTS"), t.TempDir()), // set it to look at them
	})
}

func TestPlainBrowser(t *testing.T) {
	env := browserEnv(t)
	env["PERCH_CHAT_URL"] = startChat(t)
	env["PERCH_SCREENSHOTS"] = cmp.Or(os.Getenv("PERCH_SCREENSHOTS"), t.TempDir())
	bare := exec.Command(build(t, chat), "-addr", anyPort)
	bare.Dir = t.TempDir() // where npm has put nothing
	env["PERCH_BARE_CHAT_URL"] = run(t, bare)
	suite(t, "plain.browser.test.mjs", env)
}

func TestBrowsers(t *testing.T) {
	suite(t, "browsers.test.mjs", browserEnv(t))
}

// The same handlers over Socket.IO and plain WebSocket.
func TestGateway(t *testing.T) {
	env := browserEnv(t)
	env["PERCH_GATEWAY_URL"] = start(t, conformance, "-profile", "gateway", "-addr", anyPort)
	env["PERCH_NEST_URL"] = start(t, conformance, "-profile", "gateway", "-nest", "-addr", anyPort)
	env["PERCH_CLIENT_SCRIPT"] = filepath.Join(packages(t), "socket.io-client", "dist", "socket.io.min.js")
	suite(t, "gateway.test.mjs", env)
}

// startChat serves the chat with the client that npm installed.
func startChat(t *testing.T) (url string) {
	t.Helper()
	return start(t, chat, "-addr", anyPort, "-client", filepath.Join(packages(t), "socket.io-client", "dist"))
}

// chromium is the system's browser: the driver brings none of its own.
func chromium(t *testing.T) string {
	t.Helper()
	return browser(t, "Chromium", "chromium", "chromium-browser", "google-chrome")
}

// browserEnv is what a suite that uses browsers() of browsers.mjs needs, beside variables of its own.
func browserEnv(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"PERCH_CHROMIUM": chromium(t),
		"PERCH_FIREFOX":  browser(t, "Firefox", "firefox-esr", "firefox"),
	}
}

// browser is the program that the system has of that browser; the first name is Debian's, and its package's.
func browser(t *testing.T, what string, names ...string) (path string) {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no %s: run \"make install\", or \"apt-get install %s\"", what, names[0])
	return ""
}
