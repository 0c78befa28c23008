# What a newcomer needs: `make demo` and `make test`. Both do their own set-up.

.PHONY: help demo test fuzz bench build setup

help:
	@echo 'make demo    build Portcullis and try it: three cheeses behind one gateway'
	@echo 'make test    formatting, lints and all tests'
	@echo 'make fuzz    hostile input for SECONDS_EACH=60 a target; SANITIZER=address, FUZZ="head http2": docs/fuzzing.md'
	@echo 'make bench   what a request costs, without and with filters; Envoy too if it is installed'
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

build: setup
	. scripts/path && cargo build --locked --release --package portcullis

setup:
	@scripts/setup
