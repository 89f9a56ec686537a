#!/usr/bin/env bash
# Runs the commands of docs/runbook.md, recipe by recipe, against real servers.
set -euo pipefail
here="$(dirname "${BASH_SOURCE[0]}")"
export PYTHONPATH="$PWD/tests/support"
exec /usr/bin/python3 "$here/runbook_test.py" docs/runbook.md "$PWD/server/cookixd" \
  "$PWD/tools/cli/cookix" "$PWD/deploy/docker/make-certificates"
