#!/usr/bin/env bash
# disk_faults.sh [BITS]: what stores do on bad disks, in full. The last record of the log is cut
# off at every byte, every operation of the disk fails in turn, for want of space and otherwise,
# and BITS bits (500 if it is not given) of each file are flipped one by one. Prints the
# figures, and all of a test that fails.
set -uo pipefail
bits="${1:-500}"
failed=0

run() {
  local output status=0 begin=$SECONDS
  output="$("$@" 2>&1)" || status=$?
  if ((status != 0)); then
    printf '%s\n' "$output"
    failed=1
  fi
  printf '%s\n' "$output" | sed -n 's/^figures: //p'
  printf '    %s: %s in %d s\n' "${1##*/}" "$( ((status == 0)) && echo passed || echo FAILED)" \
    $((SECONDS - begin))
}

run storage/store_recovery_test
COOKIX_DAMAGED_BITS="$bits" run storage/store_damage_test
run storage/store_disk_failure_test
exit "$failed"
