package perch_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/perch-go/perch"
)

// A program that is asked to end lets its handlers finish, and exits with 0; asked again, it ends at once.
func ExampleApp_Shutdown() {
	app, err := perch.New(
		perch.WithGateways(NewChatGateway(NewHistory())),
		perch.WithRecovery(perch.Recovery{Store: perch.FileStore("/var/lib/chat/recovery")}),
	)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // the next signal is not ours
		closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := app.Shutdown(closing); err != nil {
			log.Print(err)
		}
	})
	// It returns when Shutdown has.
	if err := app.ListenAndServe(":3000"); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// Probes belong where only the orchestrator gets to, and answer until the process ends.
func ExampleApp_ReadinessHandler() {
	app, err := perch.New(perch.WithGateways(NewChatGateway(NewHistory())))
	if err != nil {
		log.Fatal(err)
	}
	probes := http.NewServeMux()
	probes.Handle("GET /livez", app.LivenessHandler())
	probes.Handle("GET /readyz", app.ReadinessHandler())
	go func() { log.Print(http.ListenAndServe(":8081", probes)) }()

	log.Print(app.ListenAndServe(":3000"))
}
