# Everything a contributor types. Plain `make` lists it.

SHELL := /bin/bash -o pipefail
GO ?= go
NPM ?= npm
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
WEB_SOURCES := $(shell find web/src web/public client/livekit-join.js -type f 2>/dev/null) web/index.html web/vite.config.ts web/tsconfig.json

.PHONY: help
help: ## list these targets
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  \033[1m%-17s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST) \
		| if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi

.PHONY: dev
dev: build ## a LiveKit server, the door and the demo room on this machine
	@exec bin/stagedoor dev

.PHONY: build
build: tools web/dist/index.html ## bin/stagedoor with the demo room in it
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/stagedoor ./cmd/stagedoor

.PHONY: tools
tools:
	@scripts/need go
	@scripts/need node

.PHONY: test
test: setup build bin/livekit-server lint test-go test-conformance test-load test-deploy test-client test-scan test-e2e ## everything; installs what it needs
	@echo "all tests passed"

.PHONY: setup
setup: ## install the compiler, the browser and the Prometheus that tests need (apt)
	@scripts/setup

.PHONY: lint
lint: ## formatting, vet and fuzz seeds, in all modules
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "run gofmt -w on: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	cd conformance && $(GO) vet ./... && $(GO) vet -tags load ./hostile
	cd deploy && $(GO) vet ./...
	@scripts/fuzz seeds

.PHONY: test-go
test-go: web/dist/index.html web/node_modules/.package-lock.json ## Go tests with the race detector
	$(GO) test -race ./...
	$(GO) test -count=1 -run '^TestRefusalsAreAlike$$' ./internal/authn # the race detector has no time for all of its 20,000 tries
	$(GO) test -count=1 ./internal/ratelimit # nor for ten million addresses

.PHONY: fuzz
fuzz: ## search with every fuzz target for thirty seconds; `make test` runs their seeds
	@scripts/fuzz 30s

.PHONY: fuzz-nightly
fuzz-nightly: ## search with every fuzz target for five minutes (an hour and a half on two cores)
	@scripts/fuzz 5m

.PHONY: test-conformance
test-conformance: bin/livekit-server ## our tokens and verifier against LiveKit's library, a real server and Wycheproof
	cd conformance && $(GO) test -race ./...

.PHONY: test-load
test-load: ## crowds and overload against the built server; LOAD_SLACK=1 applies the bounds of a quiet machine
	cd conformance && LOAD_SLACK=$${LOAD_SLACK:-4} $(GO) test -count=1 -tags load -run '^TestLoad_' -v ./hostile | grep -vE '^ +[{]|^=== RUN'

.PHONY: test-deploy
test-deploy: build bin/livekit-server ## every file in deploy/, by the tools that read it, and the image's content run as it would be
	cd deploy && $(GO) test -count=1 ./...

.PHONY: test-client
test-client: client/node_modules/.package-lock.json ## the browser helper
	cd client && $(NPM) test

.PHONY: test-scan
test-scan: build client/node_modules/.package-lock.json ## no secret in what is shipped: the bundle, the client, the binary
	@scripts/scan

.PHONY: test-e2e
test-e2e: build bin/livekit-server e2e/node_modules/.package-lock.json ## a real call in a real browser
	cd e2e && $(NPM) test

.PHONY: audit
audit: build web/node_modules/.package-lock.json ## known vulnerabilities and licences of what is shipped; AUDIT_STRICT=1 fails when a database is not reached
	@scripts/audit

.PHONY: release
release: tools ## dist/: archives for six platforms, checksums, notices and SBOM of the commit
	@$(GO) run ./tools/release build -out dist

.PHONY: reproducible
reproducible: tools ## build the commit twice, in two places with caches of their own, and compare (minutes)
	@$(GO) run ./tools/release reproducible

.PHONY: docs
docs: ## write docs/configuration.md anew from the Config struct, docs/reference.md from docs/openapi.yaml
	$(GO) test ./internal/config -run TestConfigurationDoc -count=1 -update
	cd conformance && $(GO) test ./httpapi -run 'TestRenderedReference$$' -count=1 -update

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist web/dist/assets web/dist/index.html web/node_modules client/node_modules e2e/node_modules

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && $(NPM) run build

%/node_modules/.package-lock.json: %/package-lock.json
	@scripts/need node
	cd $* && $(NPM) ci
	@touch $@

bin/livekit-server: tools/livekit/go.mod tools/livekit/go.sum
	@scripts/need go
	@echo "building the LiveKit server, once (about two minutes)"
	cd tools/livekit && $(GO) build -o ../../bin/livekit-server github.com/livekit/livekit-server/cmd/server
	@touch $@
