package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/perch-go/perch"
)

//go:embed all:page
var embedded embed.FS

// grace is how long a client may take to hear that the server is going.
const grace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // asked again, it ends at once
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	addr := flags.String("addr", ":3000", "`address` to listen on")
	client := flags.String("client", "", "`directory` of the official client, such as node_modules/socket.io-client/dist (default: where npm puts it, else the official CDN; the page does without if there is none)")
	if err := flags.Parse(args); err != nil {
		return err
	}

	options := []perch.Option{perch.WithGateways(NewChatGateway())}
	if dir := clientDir(*client); dir != "" {
		options = append(options, perch.WithClientBundle(os.DirFS(dir)))
	}
	app, err := perch.New(options...)
	if err != nil {
		return err
	}
	page, err := fs.Sub(embedded, "page")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(page))
	mux.Handle("GET /livez", app.LivenessHandler())
	mux.Handle("GET /readyz", app.ReadinessHandler())
	app.Mount(mux)
	if err := app.Start(ctx); err != nil {
		return err
	}

	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return errors.Join(
			fmt.Errorf("cannot listen on %s, choose another address with -addr, as in -addr :3001: %w", *addr, err),
			app.Shutdown(context.Background()))
	}
	fmt.Fprintln(out, "listening on", address(l))

	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	// The app first: it tells its clients, which srv does not know any more. /readyz says so meanwhile.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return errors.Join(err, app.Shutdown(closing), srv.Shutdown(closing))
}

// clientDir is where the official client is: as told, or where npm has put it; empty
// if nowhere.
func clientDir(told string) string {
	if told != "" {
		return told
	}
	for _, root := range []string{".", "examples/chat", "internal/e2e"} {
		dir := filepath.Join(root, "node_modules", "socket.io-client", "dist")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}

// address is what to open in a browser.
func address(l net.Listener) string {
	a := l.Addr().(*net.TCPAddr)
	if a.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", a.Port)
	}
	return "http://" + a.String()
}
