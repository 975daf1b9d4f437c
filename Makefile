# Bulkhead. `make help` lists the targets.
#
# Every target first checks the Go version and says how to mend it.

GO      ?= go
SIZE    ?= full
SEED    ?= 1
SEEDS   ?= 400
RUNS    ?= 1
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
# bench/ is a module of its own. These of its packages do without Kueue and its dependencies.
BENCHED := ./sites ./evaluate ./report ./bulkhead ./slurm
LDFLAGS := -X main.version=$(VERSION)

.PHONY: help demo lab-ib lab-eth test labs mutants quick bench bench-eth bench-ib bench-peers bench-api lint fmt build sim-seeds go-version

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: SIZE=full|small (demo, bench-peers), SEEDS=N (test, bench-peers), SEED=N (sim-seeds), RUNS=N (labs), BEFORE=BINARY (bench-api)"

go-version:
	@command -v $(GO) >/dev/null || { echo "Go is missing. Install Go 1.26 or newer from https://go.dev/dl/ and put it on the PATH."; exit 1; }
	@v=$$($(GO) env GOVERSION | sed 's/^go//; s/[^0-9.].*//'); \
	  need=$$(awk '$$1=="go" {print $$2}' go.mod); \
	  [ "$$(printf '%s\n%s\n' "$$need" "$$v" | sort -V | head -1)" = "$$need" ] || \
	  { echo "Go $$v is too old: this needs Go $$need. Install it from https://go.dev/dl/ and put it on the PATH."; exit 1; }

build: go-version ## the three binaries, into bin/
	@echo "building bin/ (the first time also downloads modules)"
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

demo: build ## the whole story on a seeded, simulated site; leaves demo/ (SIZE=small takes seconds)
	@bin/bulkhead demo --size $(SIZE) --seed $(SEED) --out demo

lab-ib: build ## two rivals on an emulated InfiniBand fabric under a real OpenSM, proven apart and attacked (Debian)
	@lab/peers
	@PATH="$$PATH:/usr/sbin:/sbin" bin/bulkhead lab ib

lab-eth: build ## two rivals with the same addresses on a RoCE fabric of Linux and FRR, proven apart and attacked (Debian, root)
	@lab/peers
	@PATH="$$PATH:/usr/sbin:/sbin" bin/bulkhead lab eth

# What is tested with the build tag labs: see labs below.
LABS := ./lab/ethlab ./lab/ethnet ./lab/iblab ./lab/ibfabric
# What takes longest begins first, or one core has nothing to do at the end.
LONGEST := ./lab/story ./run ./cmd/bulkhead
# One package more than cores: some wait for daemons and clocks, and leave theirs idle.
AT_ONCE := $(shell echo $$(( $$(nproc) + 1 )))
# No test is to end by its time: these are for one that hangs, on a machine with much else to do.
HANGS := 90m

test: go-version ## what CI runs, with one short story of each lab; fails when something is skipped that could have run
	@echo "checking: gofmt, go vet"
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not formatted (run make fmt):"; echo "$$out"; exit 1; }
	@$(GO) vet ./... && $(GO) vet -tags labs $(LABS)
	@echo "checking: what is dead (house/dead)"
	@$(GO) run ./house/dead
	@lab/peers
	@echo "testing (9 minutes on 2 cores that have nothing else to do)"
	@PATH="$$PATH:/usr/sbin:/sbin" BULKHEAD_SEEDS=$(SEEDS) $(GO) test -p $(AT_ONCE) -timeout $(HANGS) -json $(LONGEST) ./... | $(GO) run ./house/gate
	@cd bench && $(GO) vet $(BENCHED) && PATH="$$PATH:/usr/sbin:/sbin" $(GO) test -timeout $(HANGS) -json $(BENCHED) | $(GO) run -C .. ./house/gate

labs: go-version ## every attack and every bad day of every lab, RUNS=N times; dates the tables in docs/ (Debian, root)
	@lab/peers
	@mkdir -p bin
	@PATH="$$PATH:/usr/sbin:/sbin" CI=1 $(GO) test -tags labs -count $(RUNS) -timeout $$(( $(RUNS) * 2 ))h -json $(LABS) | $(GO) run ./house/gate -keep bin/labs.json
	@$(GO) run ./house/dated -release $(VERSION) bin/labs.json

mutants: go-version ## plants 65 faults in the meter, each to be caught by the second reckoning (reckoning/; some minutes)
	@{ $(GO) test -tags mutants -timeout 1h -run Planted -v ./meter || echo FAILED; } | grep -v '^=== ' | awk '{ print } /^FAILED/ { bad = 1 } END { exit bad }'

quick: go-version ## the inner loop: under a minute, no root, no daemons
	@$(GO) vet ./...
	@$(GO) test -short ./...

bench: go-version ## benchmarks, each beside its limit or peer
	@$(GO) test -run '^$$' -bench . -benchtime 1s ./site ./place ./place/solve ./place/check ./place/dated ./whatif ./contract ./meter ./ledger/... ./prove ./node ./bundle ./book ./run ./fabric/ethernet/... | grep -v '^ok\|^PASS\|^?\|no test files'

bench-ib: go-version ## the InfiniBand budgets, each as a ratio in one run on ibsim under OpenSM (Debian; two minutes)
	@lab/peers
	@PATH="$$PATH:/usr/sbin:/sbin" $(GO) test -run '^$$' -bench Lease512 -benchtime 5x ./fabric/infiniband/opensm | grep '^Benchmark'
	@PATH="$$PATH:/usr/sbin:/sbin" IBNET_HOSTS=40000 $(GO) test -run '^$$' -bench ReadTables -benchtime 2x ./fabric/infiniband/umad | grep '^Benchmark'
	@$(GO) test -run '^$$' -bench PlanLease -benchtime 5x ./fabric | grep '^Benchmark'

bench-eth: go-version ## the convergence of a lease change beside FRR's own, in one run over real leaves (Debian, root)
	@lab/peers
	@PATH="$$PATH:/usr/sbin:/sbin" $(GO) test -run '^$$' -bench Convergence -benchtime 20x ./lab/ethnet | grep '^Benchmark'

bench-api: build ## how long the API takes while a driver is stopped, on a full-size simulated site (ten minutes; BEFORE=BINARY: beside it)
	@$(if $(BEFORE),$(GO) run ./lab/apibench -binary $(BEFORE) -o bin/api-before.json >/dev/null)
	@$(GO) run ./lab/apibench -binary bin/bulkhead $(if $(BEFORE),-beside bin/api-before.json)

bench-peers: go-version ## the fair fight with Slurm and Kueue, to bench/report/ (SIZE=small: about two minutes, to bench/out/report/)
	@lab/peers
	@echo "building bench/ (the first time Kueue is downloaded and compiled: some minutes on 2 cores)"
	@cd bench && $(GO) build -o out/bench . && PATH="$$PATH:/usr/sbin:/sbin" out/bench -size $(SIZE) -report $(if $(filter full,$(SIZE)),report,out/report) $(if $(filter command line environment,$(origin SEEDS)),-seeds $(SEEDS))

sim-seeds: go-version ## one seed of the simulator: SEED=N
	@$(GO) test ./run -run 'TestSeeds' -seed $(SEED) -v

lint: go-version ## the linter, with the configuration in .golangci.yml
	@command -v golangci-lint >/dev/null || { echo "golangci-lint is missing: see https://golangci-lint.run/docs/welcome/install/"; exit 1; }
	@golangci-lint run

fmt: go-version ## format the tree
	@gofmt -w $$(git ls-files '*.go')
