#!/usr/bin/env bash
# The Node client against a real server. tools/test.sh installs its packages and
# passes their folder in COOKIX_NODE_MODULES.
set -euo pipefail
here="$(dirname "${BASH_SOURCE[0]}")"
if [[ -z "${COOKIX_NODE_MODULES:-}" ]]; then
  if [[ ! -d "$here/node/node_modules" ]]; then
    echo "The Node client's packages are not installed: run tools/test.sh, which installs them," >&2
    echo "or set COOKIX_NODE_MODULES to a node_modules folder made by npm ci." >&2
    exit 1
  fi
fi
exec /usr/bin/python3 "$here/run_client_test.py" node "$PWD/server/cookixd" \
  node "$here/node/quickstart_test.mjs" "{target}" "$PWD/proto"
