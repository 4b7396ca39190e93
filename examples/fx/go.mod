module github.com/perch-go/perch/examples/fx

go 1.26.0

require (
	github.com/perch-go/perch v0.0.0
	github.com/perch-go/perch/contrib/fx v0.0.0
	go.uber.org/fx v1.24.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/ws v1.5.0 // indirect
	go.uber.org/dig v1.19.0 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.26.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

// Never published: outside the workspace (GOWORK=off) it uses the tree it is in.
replace github.com/perch-go/perch => ../..

replace github.com/perch-go/perch/contrib/fx => ../../contrib/fx
