# What a newcomer needs: `make demo` and `make test`. Both do their own set-up.

.PHONY: help demo test fuzz bench soak audit build setup

help:
	@echo 'make demo    build Portcullis and try it: three cheeses behind one gateway'
	@echo 'make test    formatting, lints and all tests'
	@echo 'make fuzz    hostile input for SECONDS_EACH=60 a target; SANITIZER=address, FUZZ="head http2": docs/fuzzing.md'
	@echo 'make bench   what the gateway costs, beside nginx, HAProxy and Envoy where they are installed'
	@echo 'make soak MINUTES=10'
	@echo '             mixed traffic while everything changes: does it stay as it is?'
	@echo 'make audit   licences, sources and advisories of what it depends on, with cargo-deny'
	@echo 'make build   the optimised program, in release/portcullis of the target folder'

# The program without optimisation: it is there in a fraction of the time.
demo: setup
	. scripts/path && cargo run --locked --package portcullis -- demo

test:
	@scripts/setup test
	. scripts/path && scripts/test

fuzz: setup
	. scripts/path && scripts/fuzz $(FUZZ)

bench: setup
	. scripts/path && cargo run --locked --release --package portcullis-tests --bin bench

MINUTES = 10

soak: setup
	. scripts/path && cargo run --locked --release --package portcullis-tests --bin soak -- --minutes $(MINUTES)
	. scripts/path && cargo run --locked --release --package portcullis-tests --bin soak -- --cluster --seconds 20

audit:
	. scripts/path && scripts/audit

build: setup
	. scripts/path && cargo build --locked --release --package portcullis

setup:
	@scripts/setup
