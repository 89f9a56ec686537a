#!/usr/bin/env bash
# Runs the tests. Installs the packages that are missing first.
#
#   tools/test.sh          the quick suite: unit, end-to-end and client tests
#   tools/test.sh full     what CI runs: also the sanitizers, the long crash loop
#                          and the format check
#
# The last line is `N passed, N failed`, counting single test cases; the exit
# code is 0 only when none failed. Logs of failures are shown.
# COOKIX_DATA_DIR may name a folder with wn18rr/, fb15k-237/, cacm/, cisi/ and
# cranfield/ for the tests of real data, which say so and pass when it is unset.
set -uo pipefail

# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$COOKIX_ROOT" || exit 1

suite="${1:-quick}"
case "$suite" in
  quick | full) ;;
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *) die "unknown suite: $suite" "Use: tools/test.sh [quick|full]" ;;
esac

begin="$(now_ms)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
failures=()

# tests NAME BAZEL-ARGUMENT...: runs bazel tests and counts their cases.
tests() {
  local name="$1" status=0 result p f
  shift
  step "$name"
  local environment=()
  if [[ -n "${COOKIX_DATA_DIR:-}" ]]; then
    environment=("--test_env=COOKIX_DATA_DIR=$(cd "$COOKIX_DATA_DIR" && pwd -P)")
  fi
  rm -f "$work/events.json"
  run_bazel test --keep_going --test_output=errors --test_summary=terse \
    --build_event_json_file="$work/events.json" "${environment[@]}" "$@" || status=$?
  # 4: nothing to test under these filters. 3: some failed. 1: some did not build.
  result="$(/usr/bin/python3 tools/count_tests.py "$work/events.json" "$status")" || result="0 1"
  read -r p f <<< "$result"
  passed=$((passed + p))
  failed=$((failed + f))
  say "    $p passed, $f failed"
  ((f == 0)) || failures+=("$name")
}

# check NAME COMMAND...: one test case that is a command.
check() {
  local name="$1"
  shift
  step "$name"
  if "$@"; then
    passed=$((passed + 1))
    say "    1 passed, 0 failed"
  else
    failed=$((failed + 1))
    failures+=("$name")
    say "    0 passed, 1 failed"
  fi
}

# Node's packages, from the lock file. Kept outside the checkout's tests so that
# a clone stays clean; installed again only when the lock file changes.
install_node_modules() {
  local from="tests/clients/node" sum
  sum="$(sha256sum "$from/package-lock.json" | cut -c1-16)"
  node_modules="$COOKIX_CACHE/node/$sum"
  if [[ ! -f "$node_modules/.complete" ]]; then
    mkdir -p "$node_modules" &&
      cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$node_modules/" &&
      (cd "$node_modules" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error < /dev/null) &&
      touch "$node_modules/.complete"
  else
    say "    already installed in $node_modules"
  fi
}

format_is_clean() {
  local files
  files="$(git ls-files '*.cc' '*.h' 2> /dev/null || true)"
  [[ -n "$files" ]] || files="$(find storage engine server client tools tests -name '*.cc' -o -name '*.h')"
  local -a list
  mapfile -t list <<< "$files"
  clang-format --dry-run --Werror "${list[@]}"
}

step "Checking this machine"
check_machine
step "Installing missing packages"
install_packages build test
step "Installing the Node client's packages"
node_modules=""
install_node_modules || warn "    npm ci failed: the Node client's test will fail"
export COOKIX_NODE_MODULES="$node_modules/node_modules"
node_environment=("--test_env=COOKIX_NODE_MODULES=$COOKIX_NODE_MODULES")

if [[ "$suite" == quick ]]; then
  tests "Unit, end-to-end and client tests" //... --test_tag_filters=-full,-benchmark \
    --build_tests_only "${node_environment[@]}"
else
  tests "Unit, end-to-end, crash and client tests" //... --test_tag_filters=-benchmark \
    --build_tests_only "${node_environment[@]}"
  tests "Address and undefined behaviour sanitizers" //storage/... //engine/... \
    //server/replication/... //tests/fuzz/... --config=asan --test_tag_filters=-benchmark,-no_asan --build_tests_only
  tests "Thread sanitizer" //storage/... //engine/... //server/election/... \
    //server/replication/... --config=tsan \
    --test_tag_filters=tsan --build_tests_only
  check "Formatting (.clang-format)" format_is_clean
fi
step_done

say ""
say "$suite suite in $(elapsed "$begin")"
for name in "${failures[@]}"; do say "FAILED: $name"; done
say "$passed passed, $failed failed"
((failed == 0 && passed > 0))
