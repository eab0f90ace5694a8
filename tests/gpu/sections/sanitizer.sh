#!/usr/bin/env bash
# The kernel tests under compute-sanitizer: memory errors, and reads of memory that nothing wrote. Big
# shapes are left out: a kernel is up to a hundred times slower here.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/sanitize.sh"

filter=${LLMPQ_SANITIZER_FILTER:--*Large*:*RealShapes*}
echo "\`--gtest_filter=$filter\`"
echo
print_header
sanitize memcheck 45 "$filter"
sanitize initcheck 20 "$filter"
exit 0
