package perch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outcomes names, for each way in which a client can be turned away or leave, the tests that bring it about. What the
// reference server knows too is compared with it in internal/e2e/differential (see cover.mjs there).
var outcomes = map[string][]string{
	// Why sockets leave: S-86 to S-94, and some of our own.
	"ReasonClientNamespaceDisconnect": {"socketio.TestDisconnect"},
	"ReasonServerNamespaceDisconnect": {"socketio.TestDisconnect"},
	"ReasonServerShuttingDown":        {"socketio.TestShutdown"},
	"ReasonPingTimeout":               {"engineio.TestHeartbeat", "socketio.TestTransportReasons"},
	"ReasonTransportClose":            {"engineio.TestInvalidPackets", "socketio.TestTransportReasons"},
	"ReasonTransportError":            {"engineio.TestAbortedPoll", "socketio.TestTransportReasons"},
	"ReasonParseError":                {"engineio.TestInvalidPackets", "socketio.TestTransportReasons"},
	"ReasonForcedClose":               {"engineio.TestServerCloseOverPolling", "socketio.TestInvalidPackets"},
	"ReasonForcedServerClose":         {"engineio.TestServerCloseOverPolling", "socketio.TestInvalidPackets"},
	"ReasonInboundOverflow":           {"engineio.TestInboundBudgetWhileAwaiting", "socketio.TestAttachmentsAreBounded"},
	"ReasonOutboundOverflow":          {"engineio.TestOutboundBudget", "e2e.TestStalledReader"},
	"ReasonTooManyRefusals":           {"socketio.TestMaxRefusals"},
	"ReasonRateLimited":               {"socketio.TestMaxExcesses"},

	// Why requests are refused: S-79.
	"CodeUnknownTransport":    {"engineio.TestConnectionErrors"},
	"CodeUnknownSession":      {"engineio.TestConnectionErrors"},
	"CodeBadHandshakeMethod":  {"engineio.TestConnectionErrors"},
	"CodeBadRequest":          {"engineio.TestConnectionErrors"},
	"CodeForbidden":           {"engineio.TestConnectionErrors"},
	"CodeUnsupportedProtocol": {"engineio.TestConnectionErrors"},

	// Every status that the server answers with; 101 and 304 are written by hand and by net/http.
	"StatusSwitchingProtocols":          {"engineio.TestTransports"},
	"StatusOK":                          {"engineio.TestPolling"},
	"StatusNoContent":                   {"engineio.TestOrigins"},
	"StatusNotModified":                 {"socketio.TestClientFileTag"},
	"StatusTemporaryRedirect":           {"socketio.TestClientFiles"},
	"StatusBadRequest":                  {"engineio.TestRefusedRequests"},
	"StatusForbidden":                   {"engineio.TestAllowRequest"},
	"StatusMethodNotAllowed":            {"engineio.TestRefusedUpgrades", "socketio.TestClientFiles"},
	"StatusRequestEntityTooLarge":       {"engineio.TestPolling"},
	"StatusRequestTimeout":              {"engineio.TestBodyTimeout"},
	"StatusTooManyRequests":             {"engineio.TestMaxPerAddress", "engineio.TestHandshakeRate"},
	"StatusRequestHeaderFieldsTooLarge": {"engineio.TestHandshakeBytes"},
	"StatusUpgradeRequired":             {"engineio.TestRefusedUpgrades"},
	"StatusNotImplemented":              {"engineio.TestRefusedUpgrades"},
	"StatusServiceUnavailable":          {"socketio.TestShutdown"},
	"StatusInternalServerError":         {"plainws.TestRefusal"},
	"StatusNotFound":                    {"plainws.TestUnknownNamespace"},
}

// numbers are how tests may write a status.
var numbers = map[string]string{
	"StatusSwitchingProtocols": "101", "StatusOK": "200", "StatusNoContent": "204", "StatusNotModified": "304", "StatusTemporaryRedirect": "307",
	"StatusBadRequest": "400", "StatusForbidden": "403", "StatusMethodNotAllowed": "405", "StatusRequestEntityTooLarge": "413",
	"StatusRequestTimeout": "408", "StatusTooManyRequests": "429", "StatusRequestHeaderFieldsTooLarge": "431",
	"StatusUpgradeRequired": "426", "StatusNotImplemented": "501", "StatusServiceUnavailable": "503",
	"StatusInternalServerError": "500", "StatusNotFound": "404",
}

// TestEveryOutcomeIsTested finds every disconnect reason, error code and HTTP status of the code in the tests that
// outcomes names for it.
func TestEveryOutcomeIsTested(t *testing.T) {
	t.Parallel()
	for _, name := range outcomesOf(t, "engineio", "socketio") {
		if outcomes[name] == nil {
			t.Errorf("%s: no test is named for it in outcomes", name)
		}
	}
	dirs := map[string]string{"e2e": filepath.Join("internal", "e2e"), "engineio": "engineio", "socketio": "socketio", "plainws": "plainws"}
	for name, tests := range outcomes {
		said := name
		if numbers[name] != "" {
			said += "|" + numbers[name]
		}
		shown := regexp.MustCompile(`\b(?:` + said + `)\b`)
		for _, test := range tests {
			pkg, fn, _ := strings.Cut(test, ".")
			if body := functionText(t, dirs[pkg], fn); !shown.MatchString(body) {
				t.Errorf("%s: %s does not show it", name, test)
			}
		}
	}
}

// outcomesOf lists the reasons and codes that packages declare and the statuses that they use.
func outcomesOf(t *testing.T, dirs ...string) (names []string) {
	t.Helper()
	constant := regexp.MustCompile(`^(?:Reason|Code)[A-Z]`)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GenDecl:
					for _, spec := range n.Specs {
						if values, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.CONST && constant.MatchString(values.Names[0].Name) {
							names = append(names, values.Names[0].Name)
						}
					}
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "http" && strings.HasPrefix(n.Sel.Name, "Status") && n.Sel.Name != "StatusText" {
						names = append(names, n.Sel.Name)
					}
				}
				return true
			})
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// functionText is the source of a test, tables and subtests included.
func functionText(t *testing.T, dir, fn string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, found := strings.Cut(string(source), "\nfunc "+fn+"("); found {
			text, _, _ := strings.Cut(rest, "\n}\n")
			return text
		}
	}
	t.Errorf("there is no test %s in %s", fn, dir)
	return ""
}
