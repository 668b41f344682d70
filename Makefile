# Everything a checkout can do. Needs Rust, Python >= 3.11 and make; the rest it installs itself:
# Debian packages as root (it names them otherwise), Python packages into .venv.

# The first that runs and is new enough; a name alone may be a shim that leads nowhere.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import tomllib' 2>/dev/null && echo $$python && break; done)
HOUSE = $(or $(PYTHON),$(error Python >= 3.11 is needed: install python3)) tests/tools/house.py

.PHONY: help setup demo test bench fuzz soak sanitize lint wheel clean

help: ## say what each command does
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages, the virtual environment
	@$(HOUSE) setup

demo: ## the main job: a file three ways through a bad link, then names (FILE=path, SEED=number)
	@$(HOUSE) demo $(if $(FILE),--file "$(FILE)") $(if $(SEED),--seed "$(SEED)")

test: ## all tests: formats, lints, cargo, the wheel, pytest
	@$(HOUSE) test

bench: ## measure beside the peers, write docs/benchmarks.md (ONLY=name,name)
	@$(HOUSE) bench $(if $(ONLY),--only "$(ONLY)")

fuzz: ## every parser under CASES mutations of its corpus (10,000,000), CALLS of sockets (1,000,000)
	UDPCORE_FUZZ_CASES=$(or $(CASES),10000000) cargo test --release --workspace --locked --no-fail-fast \
		--test 'fuzz_*'
	UDPCORE_FUZZ_CASES=$(or $(CALLS),1000000) .venv/bin/pytest --timeout 0 \
		tests/py/socket/test_fuzz.py

soak: ## the long runs: SEEDS scenarios of the transport (100,000), OPERATIONS on sockets (10,000,000)
	UDPCORE_SEEDS=$(or $(SEEDS),100000) cargo test --release --locked --test transport_sim
	UDPCORE_SOAK_OPERATIONS=$(or $(OPERATIONS),10000000) .venv/bin/pytest --timeout 0 \
		tests/py/socket/test_strain.py

# The sanitizer knows the address space, Miri the rules of the language: it runs what makes no
# system call and is not too long for an interpreter.
sanitize: ## the unsafe code under AddressSanitizer and Miri (rustup's nightly with miri, rust-src)
	RUSTFLAGS=-Zsanitizer=address cargo +nightly test --workspace --locked --lib \
		--test relay --test relay_batch --test fuzz_batch --test fuzz_socket --test fuzz_fec \
		--target $$(rustc -vV | sed -n 's/^host: //p') --target-dir target/asan
	PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked --lib \
		--target-dir target/miri -- io::socket::cmsg io::socket::address io::batch::facts \
		io::batch::runs fec::reed_solomon::tests::vector

lint: ## only the formats, lints and types
	@$(HOUSE) lint

wheel: ## build the wheel into dist/
	@$(HOUSE) wheel

clean: ## remove what was built
	rm -rf target dist .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
