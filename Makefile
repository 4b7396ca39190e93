# Every target works on all modules of the workspace; "go list -m" names them.
# CONTRIBUTING.md says what each is for.

GO ?= go
MODULES = $(shell $(GO) list -m -f '{{.Dir}}')

# How long make fuzz stays with one target, and how often make repeat runs the suite.
FUZZTIME ?= 1m
TIMES ?= 20

# How long make chaos lasts. PERCH_CHAOS_SEED=n repeats what happened in an earlier run, which printed that.
CHAOS ?= 10m
# How long make soak lasts, and more arguments (SOAKARGS="-clients 1000"). PERCH_SOAK_SEED=n has the same clients again.
SOAK ?= 30m
SOAKARGS ?=
# Arguments of the make bench-… targets.
BENCHARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

.PHONY: test
test: lint install ## install what is missing, lint, run every test; ends with the number of tests
	@$(GO) run ./internal/runtests

.PHONY: race
race: install ## every test under the race detector (needs a C compiler)
	@CGO_ENABLED=1 $(GO) run ./internal/runtests -race

.PHONY: conformance
conformance: install ## the official clients 4.8, 3.x, 2.x over polling, WebSocket, upgrade: a table
	@$(GO) run ./internal/runtests -run='^TestClients$$'

.PHONY: compliance
compliance: ## the Autobahn test suite against the server (needs Python 2.7; some ten minutes), into docs/compliance.md
	@GO="$(GO)" sh scripts/autobahn.sh

.PHONY: chaos
chaos: ## 200 Go clients whose connections are cut, delayed and left half-open at random, for CHAOS (10m)
	@cd internal/e2e && PERCH_CHAOS=$(CHAOS) $(GO) test -count=1 -v -timeout=0 -run='^TestChaos$$' .

.PHONY: soak
soak: ## 5,000 clients come and go for SOAK (30m), many of them hostile: nothing may be left of them; plots to soak.svg
	@nice -n 10 $(GO) run ./internal/e2e/soak -for $(SOAK) $(SOAKARGS)

.PHONY: repeat
repeat: install ## every test TIMES (20) times over, to find the ones that fail now and then
	@$(GO) run ./internal/runtests -times $(TIMES)

.PHONY: lint
lint: ## formatting, vet, staticcheck, tidy modules, file length
	@GO="$(GO)" sh scripts/lint.sh

.PHONY: bench
bench: ## Go benchmarks
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) test -run '^$$' -bench . -benchmem ./...); done

.PHONY: bench-client
bench-client: install ## the Go client beside the JavaScript one and coder/websocket: tables (BENCHARGS="-rounds 1 -scenarios c1,recv")
	@$(GO) run ./internal/e2e/clientbench $(BENCHARGS)

.PHONY: bench-compare
bench-compare: install ## the server beside Node's, NestJS and WebSocket alone: tables with ratios (BENCHARGS="-rounds 1 -scenarios e1,b8")
	@$(GO) run ./internal/e2e/serverbench $(BENCHARGS)

.PHONY: bench-ratios
bench-ratios: install ## ratios of rates alone, measured in short slices side by side, which a machine of changing speed disturbs least
	@$(GO) run ./internal/e2e/serverbench -measure ratios $(BENCHARGS)

.PHONY: bench-growth
bench-growth: ## how the server's cost grows with connections and members: tables (BENCHARGS="-rounds 1 -servers perch")
	@$(GO) run ./internal/e2e/serverbench -measure growth $(BENCHARGS)

.PHONY: bench-hold
bench-hold: ## 96,000 connections in six processes: memory, CPU, heartbeats (BENCHARGS="-processes 2 -held 16000 -hold 30s")
	@$(GO) run ./internal/e2e/serverbench -measure hold $(BENCHARGS)

.PHONY: bench-stalled
bench-stalled: ## broadcasts to 5,000 with and without a member that does not read: times (BENCHARGS="-rounds 1")
	@$(GO) run ./internal/e2e/serverbench -measure stalled $(BENCHARGS)

.PHONY: bench-locks
bench-locks: ## who waits for the server's locks on two cores: shares from mutex and block profiles (BENCHARGS="-rounds 1")
	@$(GO) run ./internal/e2e/serverbench -measure locks $(BENCHARGS)

.PHONY: bench-hostile
bench-hostile: ## 100 honest clients beside 50,000 hostile ones: times, undisturbed and under each attack; fails if they are 3 times as long
	@$(GO) run ./internal/e2e/serverbench -measure hostile -time 18s -again 0 -wait 2s $(BENCHARGS)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (1m); executions and findings of each (TARGETS="socketio Fuzz")
	@GO="$(GO)" FUZZTIME="$(FUZZTIME)" sh scripts/fuzz.sh

.PHONY: guard-proof
guard-proof: ## takes each guard of docs/security.md out of the code and expects its test to fail (GUARD=pattern)
	@$(GO) run ./internal/guardproof $(GUARD)

.PHONY: vuln
vuln: ## known vulnerabilities in what every module calls, by govulncheck; needs its database, vuln.go.dev
	@GO="$(GO)" sh scripts/vuln.sh

.PHONY: install
install: ## what the end-to-end tests need beside Go: Node and its packages, Chromium, Firefox
	@sh scripts/install.sh

.PHONY: clean
clean: ## remove what builds and tests left in the tree
	rm -rf bin internal/e2e/node_modules
	find . -name node_modules -prune -o \( -name '*.test' -o -name '*.prof' -o -name '*.out' \) -type f -exec rm -f {} +
