package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/internal/compliance"
)

// everything is the whole list, in parts that take about as long as each other.
const everything = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.* 12.1.*,12.2.*,12.3.* 12.4.*,12.5.*,13.1.* 13.2.*,13.3.*,13.4.* 13.5.*,13.6.*,13.7.*"

func main() {
	wstest := flag.String("wstest", "wstest", "the suite's command")
	cases := flag.String("cases", everything, "patterns of cases, separated by commas; parts separated by spaces are run at the same time")
	document := flag.String("document", "", "the file whose table is rewritten; empty writes to standard output only")
	dir := flag.String("reports", "bin/autobahn/reports", "where the suite leaves its own reports, in HTML, in a folder for each part")
	flag.Parse()
	if err := run(*wstest, strings.Fields(*cases), *document, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "autobahn:", err)
		os.Exit(1)
	}
}

func run(wstest string, parts []string, document, dir string) error {
	server, handler, err := compliance.Echo(true)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = httpServer.Serve(listener) }() // until Close
	defer httpServer.Close()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	found := make([]map[string]result, len(parts))
	errs := make([]error, len(parts))
	var running sync.WaitGroup
	for i, cases := range parts {
		running.Go(func() {
			found[i], errs[i] = play(wstest, "ws://"+listener.Addr().String(), cases, filepath.Join(dir, strconv.Itoa(i+1)))
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	results := map[string]result{}
	for _, part := range found {
		maps.Copy(results, part)
	}
	table, bad := summarize(results)
	fmt.Print(table)
	if document != "" {
		if err := compliance.ReplaceTable(document, "autobahn", table); err != nil {
			return err
		}
	}
	return errors.Join(bad...)
}

// play runs the suite once.
func play(wstest, url, cases, dir string) (map[string]result, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	spec, err := json.Marshal(map[string]any{
		"outdir":              dir,
		"servers":             []any{map[string]any{"agent": agent, "url": url}},
		"cases":               strings.Split(cases, ","),
		"exclude-cases":       []string{},
		"exclude-agent-cases": map[string]any{},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "spec.json")
	if err := os.WriteFile(file, spec, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(wstest, "-m", "fuzzingclient", "-s", file)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", wstest, err)
	}
	return readResults(filepath.Join(dir, "index.json"))
}
