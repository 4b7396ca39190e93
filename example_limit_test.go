package perch_test

import (
	"context"
	"log"
	"net/netip"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/engineio"
)

// Talk is a gateway whose clients may not talk all the time.
type Talk struct{ perch.Base }

func (g *Talk) Options() perch.Options { return perch.Options{} }

func (g *Talk) Register(r *perch.Router) {
	perch.On(r, "say", g.Say, perch.WithRateLimit(1, 5)) // one per second, and up to five at once
	perch.On(r, "search", g.Search, perch.WithRateLimit(0.2, 1))
}

func (g *Talk) Say(_ context.Context, text string) (perch.None, error) {
	return perch.None{}, g.Server().Emit("said", text)
}

func (g *Talk) Search(_ context.Context, text string) ([]string, error) { return nil, nil }

// A client that sends an event more often gets an error with the code RATE_LIMITED, in the ack or by "exception". As an option of the
// app it counts all events of a client, known or not.
func ExampleWithRateLimit() {
	app, err := perch.New(
		perch.WithGateways(&Talk{}),
		perch.WithRateLimit(20, 100),
		perch.WithLimits(perch.Limits{MaxExcesses: 1000}), // who does not stop is disconnected
	)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.ListenAndServe(":3000"))
}

// A server on the open internet. What Strict sets can be set otherwise; here events, of which this program's clients send many.
func ExampleStrict() {
	app, err := perch.New(
		perch.WithGateways(&Talk{}),
		perch.Strict(),
		perch.WithRateLimit(200, 1000),
	)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.ListenAndServe(":3000"))
}

// Limits that go by the client's address need to know the proxies in front of the server, whose address all clients have otherwise.
func ExampleStrict_behindProxy() {
	app, err := perch.New(
		perch.WithGateways(&Talk{}),
		perch.Strict(),
		perch.WithEngine(perch.EngineOptions{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Limits:         engineio.Limits{MaxPerAddress: 1000}, // a school behind one address
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.ListenAndServe(":3000"))
}

// Counters say whether a limit is hit.
func ExampleApp_Stats() {
	app, err := perch.New(perch.WithGateways(&Talk{}), perch.Strict())
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range app.Stats() {
		log.Print(s.Path, ": ", s.Engine.Sessions, " clients, ", s.SocketIO.EventsRefused, " events refused")
	}
}
