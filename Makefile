# What people start here; README.md says more.
#   make demo    a lab with a firewall, live agents and a collector; verdicts in under a minute
#   make test    every test
#   make networks  networks that translate, rewrite and tunnel, and attackers, against their truth
#   make chaos   a hundred faults at random under load; nothing may get lost uncounted (about ten minutes)
#   make simulate  agents, stream, spool and ingest in a simulated world: 10,000 schedules of faults (SCHEDULES=n, SEED=n)
#   make fuzz    hostile input to every reader and to the judge, for an hour (MINUTES=n, SEED=n)
#   make packages  Debian packages of agent, collector and CLI in target/packages; make packages-test installs and
#                starts them in a clean Debian (as root, with mmdebstrap and a mirror in reach; about four minutes)
#   make bench   the numbers of the README's section "Measured", beside peers; README=--readme writes them there
#                (bench-digest, bench-live, bench-analyze, bench-ingest, bench-fleet, bench-latency, bench-pages, bench-micro: a part)
#   make citus   the collector's tests with distributed tables, on the coordinator that PARALLAX_CITUS_URL names
#   make calibrate   what confidence is worth, over 100,000 simulated resets (RESETS=n: over n)
#   make lint    formatting and clippy

CARGO ?= cargo

.PHONY: demo test networks chaos simulate fuzz bench citus calibrate lint build needs packages packages-test \
	bench-build bench-digest bench-live bench-analyze bench-ingest bench-fleet bench-latency bench-pages bench-micro

needs:
	@tests/packages

demo: needs
	$(CARGO) build --release --locked --workspace --bins
	@target/release/parallax-lab demo

test: needs
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace

networks: needs
	$(CARGO) build --locked --workspace --bins
	@target/debug/parallax-lab networks --live

chaos: needs
	$(CARGO) build --locked --workspace --bins
	@target/debug/parallax-lab chaos

# In a folder of its own, since tokio takes its chance from the seed only where it is built so.
simulate: needs
	RUSTFLAGS='--cfg tokio_unstable' $(CARGO) build --release --locked --target-dir target/simulate -p parallax-tests --bin parallax-lab
	@target/simulate/release/parallax-lab simulate --schedules $(or $(SCHEDULES),10000) --seed $(or $(SEED),0)

fuzz: needs
	$(CARGO) build --release --locked -p parallax-tests --bin parallax-lab
	@target/release/parallax-lab fuzz --minutes $(or $(MINUTES),60) --seed $(or $(SEED),0)

# One after another, also with -j: they measure time.
bench: bench-build
	@target/release/parallax-bench digest $(README)
	@target/release/parallax-bench live $(README)
	@target/release/parallax-bench analyze $(README)
	@target/release/parallax-bench ingest $(README)
	@target/release/parallax-bench fleet $(README)
	@target/release/parallax-bench latency $(README)
	@target/release/parallax-bench pages $(README)
	@target/release/parallax-bench micro $(README)

# Peers that cannot be had are said and left out.
bench-build: needs
	@tests/packages --optional tcpdump tshark sqlite3 softflowd nfdump tcptrace p0f
	$(CARGO) build --release --locked --workspace --bins

bench-digest bench-live bench-analyze bench-ingest bench-fleet bench-latency bench-pages bench-micro: bench-%: bench-build
	@target/release/parallax-bench $* $(README)

citus:
	@test -n "$$PARALLAX_CITUS_URL" || { echo "make citus: not run: name a Citus coordinator with PARALLAX_CITUS_URL=postgres://USER@HOST/DATABASE" >&2; exit 1; }
	$(CARGO) test --locked -p parallax-collector --test collector -- --include-ignored

calibrate:
	$(CARGO) test --release --locked -p parallax-core --test simulator -- --ignored --exact calibrate --nocapture

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

packages: needs
	$(CARGO) build --release --locked -p parallax-agent -p parallax-collector -p parallax-cli
	@deploy/packages/build target/release target/packages

packages-test: packages
	@tests/packages --optional mmdebstrap
	@deploy/packages/test target/packages
