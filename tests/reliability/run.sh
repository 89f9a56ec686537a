#!/usr/bin/env bash
# run.sh PROGRAM ARGUMENT...: runs kill_cycles or partitions with the daemon that was built.
set -euo pipefail
root="$PWD"
program="$1"
shift
cd "${BUILD_WORKING_DIRECTORY:-$root}"
export PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH="$root/tests/reliability:$root/tests/support:$root/tests/clients/python:$root/tests/clients/stubs"
exec /usr/bin/python3 "$root/tests/reliability/$program.py" "$root/server/cookixd" "$@"
