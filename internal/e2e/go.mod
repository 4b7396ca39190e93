module github.com/perch-go/perch/internal/e2e

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/gobwas/ws v1.5.0
	github.com/perch-go/perch v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/tinylib/msgp v1.6.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

// Never published: outside the workspace (GOWORK=off) it uses the tree it is in.
replace github.com/perch-go/perch => ../..
