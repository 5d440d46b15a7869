# Everything a newcomer runs. `make demo` needs nothing but make and a Python >= 3.12, wherever it is.
.DEFAULT_GOAL := help
.PHONY: help demo serve test soak lint format bench screenshots package clean

VENV := .venv
RUN := $(VENV)/bin/python
ARGS ?=

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready: requirements.txt pyproject.toml devhost/bootstrap.sh
	@sh devhost/bootstrap.sh $(VENV)

# What only tests need: libraries of vendors, and what drives a browser; some of them large.
$(VENV)/.vendors: $(VENV)/.ready
	@echo "Installing the vendors' own libraries, to test against, and Playwright …"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --group vendors --group browser
	@touch $@

demo: $(VENV)/.ready ## broker, plugin and host; real senders, records read back; stays up (ONCE=1: ends by itself)
	@$(RUN) -m devhost demo $(if $(ONCE),--once) $(ARGS)

serve: $(VENV)/.ready ## the local host: make serve ARGS="--endpoint shop=examples/settings.json"
	@$(RUN) -m devhost serve $(ARGS)

test: $(VENV)/.vendors ## all tests, with kills, soak and fuzzing in small
	@$(RUN) -m pytest -n 3 --dist worksteal $(ARGS)

soak: $(VENV)/.vendors ## the same in full
	@SOAK=1 $(RUN) -m pytest -n 3 --dist worksteal --timeout=3600 $(ARGS)

lint: $(VENV)/.vendors ## ruff and mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/.ready ## put the code in form
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

bench: $(VENV)/.ready ## the figures of docs/performance.md, each beside its peers
	@$(RUN) -m bench $(ARGS)

screenshots: $(VENV)/.vendors ## docs/images/*.png, from the running demo; needs chromium
	@$(RUN) -m devhost screenshots $(ARGS)

package: $(VENV)/.ready ## dist/kafka_bridge-<version>.difypkg
	@$(RUN) -m devhost package $(ARGS)

clean: ## forget the environment and the caches
	@rm -rf $(VENV) .cache dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
