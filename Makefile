# "make help" lists the targets. All run on Linux with Go; "make test-real", "make reliability" and "make image-check" need root.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build test test-real reliability fuzz lint generate-check image-root image-check clean

# The one build line: the Dockerfile calls "make image-root", which comes here. Static, because the image has no libc.
BUILD := CGO_ENABLED=0 go build -trimpath

# The race detector is linked with the C compiler. Without one the tests run all the same, without the detector.
RACE = $(if $(shell command -v "$$(go env CC)"),-race)

# How long "make fuzz" spends on each target.
FUZZTIME ?= 10s

IMAGE := dist/image
USER := 65532:65532

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/mailconfd, static
	$(BUILD) -o bin/mailconfd ./cmd/mailconfd

test: ## run the tests: servers in the process, no root, no network
	$(if $(RACE),,@echo "no C compiler: testing without the race detector")
	go test $(RACE) -shuffle=on ./...

test-real: ## as root: install Dovecot, Postfix, PostgreSQL, BIND, Knot DNS and real mail clients, and test against them
	test/real/install.sh
	$(MAKE) --no-print-directory build
	cd tools/dnscontrol && $(BUILD) -o '$(CURDIR)/bin/dnscontrol' .
	REAL_DNSCONTROL='$(CURDIR)/bin/dnscontrol' REAL_MAILCONFD='$(CURDIR)/bin/mailconfd' \
	  go test -tags real -count=1 -v -timeout 20m -exec '$(CURDIR)/test/real/namespace.sh' ./test/real/...

reliability: ## as root: kill, stop and soak mailconfd for a quarter of an hour; writes docs/reliability.md
	test/real/install.sh
	bench/reliability.sh

fuzz: ## run every fuzz target for FUZZTIME (10s)
	go test -list '^Fuzz' ./... \
	  | awk '/^Fuzz/ {targets[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print $$2, targets[i]; n = 0}' \
	  | while read -r package target; do \
	      echo "$$package $$target"; \
	      go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' "$$package" </dev/null; \
	    done

lint: ## go vet, staticcheck and gofumpt, in the versions of tools/go.mod
	go vet ./...
	go vet -tags real ./test/real/...
	go tool -modfile=tools/go.mod staticcheck ./...
	go tool -modfile=tools/go.mod staticcheck -tags real ./test/real/...
	cd tools/dnscontrol && go vet .
	@unformatted=$$(cd tools && go tool gofumpt -l ..); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofumpt -w on:"; echo "$$unformatted"; exit 1; fi >&2

# Files that a program writes carry a "//go:generate" line beside them. As long as the tree has none, nothing is run.
generate-check: ## fail when a generated file is not what its program writes
	@if git grep -qI '^//go:generate ' -- '*.go'; then \
	  go generate ./... && git diff --exit-code; \
	else \
	  echo "no file is generated"; \
	fi

image-root: ## build what the image holds, in dist/image
	rm -rf $(IMAGE)
	mkdir -p $(IMAGE)/var/lib/mailconfd
	$(BUILD) -o $(IMAGE)/mailconfd ./cmd/mailconfd

image-check: image-root ## as root: run the image's program as its user, with nothing but the image's files
	chown $(USER) $(IMAGE)/var/lib/mailconfd
	chroot --userspec=$(USER) $(IMAGE) /mailconfd version
	chroot --userspec=$(USER) $(IMAGE) /mailconfd probe --help >/dev/null
	@echo "the image's program runs in an empty root as user $(USER)"

clean: ## remove what was built
	rm -rf bin dist
