# What people start here; README.md says more.
#   make demo    a lab with a firewall, live agents and a collector; verdicts in under a minute
#   make test    every test
#   make networks  networks that translate, rewrite and tunnel, and attackers, against their truth
#   make chaos   a hundred faults at random under load; nothing may get lost uncounted (about ten minutes)
#   make bench   the numbers of the README's table
#   make calibrate   what confidence is worth, over 100,000 simulated resets (RESETS=n: over n)
#   make lint    formatting and clippy

CARGO ?= cargo

.PHONY: demo test networks chaos bench calibrate lint build packages

packages:
	@tests/packages

demo: packages
	$(CARGO) build --release --locked --workspace --bins
	@target/release/parallax-lab demo

test: packages
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace

networks: packages
	$(CARGO) build --locked --workspace --bins
	@target/debug/parallax-lab networks --live

chaos: packages
	$(CARGO) build --locked --workspace --bins
	@target/debug/parallax-lab chaos

bench:
	@tests/packages tcpdump
	$(CARGO) build --release --locked --workspace --bins
	@target/release/parallax-bench digest
	@target/release/parallax-bench ingest
	@target/release/parallax-lab latency

calibrate:
	$(CARGO) test --release --locked -p parallax-core --test simulator -- --ignored --exact calibrate --nocapture

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
