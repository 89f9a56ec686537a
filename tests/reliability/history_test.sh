#!/usr/bin/env bash
# The checker of histories against histories that it must pass and reject.
exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/history_test.py"
