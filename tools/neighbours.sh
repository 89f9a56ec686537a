#!/usr/bin/env bash
# Lets servers of this checkout and of an earlier revision work together.
#
#   tools/neighbours.sh REVISION
#
# Builds cookixd of the revision in a temporary directory, and runs
# //tests/e2e:neighbours_test twice: with the earlier program as the first primary
# and this checkout's as its replica, and the other way round. The test makes a
# copy, follows commits, reads and watches them, changes the primary as planned, by
# crash and by force, and lets both elect their primary in etcd; so each of the two
# is primary and replica in either run. The exit code is 0 when all of it passed.
set -euo pipefail

# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ $# -ne 1 || "$1" == -h || "$1" == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  [[ $# -eq 1 ]] && exit 0
  exit 2
fi
revision="$(git -C "$COOKIX_ROOT" rev-parse --verify --quiet --short "$1^{commit}")" ||
  die "there is no revision $1" "git log shows them."
install_packages build test

work="$(mktemp -d)"
# A bazel of its own, which leaves nothing behind.
earlier_bazel() { (cd "$work/tree" && bazel --output_base="$work/bazel" "$@" < /dev/null); }
clean_up() {
  if [[ -d "$work/bazel" ]]; then earlier_bazel shutdown > /dev/null 2>&1 || true; fi
  git -C "$COOKIX_ROOT" worktree remove --force "$work/tree" > /dev/null 2>&1 || true
  chmod -R u+w "$work"
  rm -rf "$work"
}
trap clean_up EXIT

step "Building cookixd of $revision"
git -C "$COOKIX_ROOT" worktree add --quiet --detach "$work/tree" "$revision"
mkdir -p "$COOKIX_CACHE/bazel"
earlier_bazel build --disk_cache="$COOKIX_CACHE/bazel" --color=no --curses=no \
  --show_progress_rate_limit=15 //server:cookixd
cp "$work/tree/bazel-bin/server/cookixd" "$work/cookixd"
earlier_bazel shutdown

failed=0
for part in primary replica; do
  step "With $revision as the $part"
  if run_bazel test --nocache_test_results --test_output=errors \
    --test_env="COOKIX_${part^^}=$work/cookixd" //tests/e2e:neighbours_test; then
    say "$revision as the $part: passed"
  else
    say "$revision as the $part: FAILED"
    failed=1
  fi
done
step_done
exit "$failed"
