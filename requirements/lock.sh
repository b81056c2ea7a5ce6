#!/usr/bin/env bash
# Renews the locks from pyproject.toml: versions and hashes only, no index, no host. Needs a .venv with uv (`make setup`).
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links "$@"
}
echo "uv" | compile - --output-file requirements/uv.txt
compile pyproject.toml --extra local --group build --output-file requirements/run.txt
compile pyproject.toml --extra local --extra pictures --extra rocksdb --group build --group dev --output-file requirements/dev.txt
