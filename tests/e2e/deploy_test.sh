#!/usr/bin/env bash
# Checks what deploy/ starts servers with, against the server that is built.
set -euo pipefail
export PYTHONPATH="$PWD/tests/support"
exec /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/deploy_test.py" "$PWD/server/cookixd"
