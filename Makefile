# Two commands do all: `go run ./cmd/holdfast rush` and `make test`.

GO ?= go
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
DATA = ../shared/data/mary-fal18

.PHONY: test setup format vet staticcheck arch unit js rush live shift bench fuzz build

# Everything that must be green, in the order in which failures are cheapest to find.
test: format vet arch staticcheck setup unit js rush live shift

setup:
	@scripts/setup

format:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt -w needed:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

arch:
	$(GO) test ./internal/archtest

staticcheck:
	$(STATICCHECK) ./...

unit:
	$(GO) test -race -timeout 15m ./...

# The client in TypeScript: its types, and its tests against the server of this tree.
js:
	@scripts/js

# A rush on a real catalogue, with the server killed twice in the middle; on a made-up one where the data is not there.
rush:
	@if [ -f $(DATA)/courses.csv ]; then \
		set -x; $(GO) run ./cmd/holdfast rush --kill 2 --courses $(DATA)/courses.csv --wishes $(DATA)/wishes.csv --squeeze 0.5; \
	else \
		set -x; $(GO) run ./cmd/holdfast rush --kill 2 --students 5000 --pools 100; \
	fi

# A small one on WebSockets: killed, restarted, and all connections cut at once.
live:
	$(GO) run ./cmd/holdfast rush --ws --storm --kill 1 --restart 1 --students 2000 --pools 60

# A day at the desks of a hundred companies, killed in the middle with offers pending.
shift:
	$(GO) run ./cmd/holdfast shift --kill 1 --desks 100 --agents 8 --clients 300 --rate 120 --duration 10s --accept 0.7 --lose 0.1

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o holdfast ./cmd/holdfast

# The figures of the README, each measured beside what it is compared with, in one run. Nothing else should run meanwhile.
bench:
	@scripts/bench

# Each fuzz target for a while: make fuzz FUZZTIME=5m
FUZZTIME ?= 20s
fuzz:
	@scripts/fuzz $(FUZZTIME)
