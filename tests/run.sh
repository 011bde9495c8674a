#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds Halftone with warnings as errors in a folder of its own and runs all tests. More
# arguments go to `meson setup`, for instance -Db_sanitize=address,undefined -Db_lundef=false. The last line counts the
# test cases.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/.ci/install-packages"
build=${HALFTONE_BUILD:-$root/build-tests}
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dwerror=true -Dbuildtype=debugoptimized "$@"
meson compile -C "$build"
status=0
meson test -C "$build" --no-rebuild --print-errorlogs || status=$?
python3 "$root/tests/count.py" "$build/meson-logs/testlog.junit.xml" || status=1
exit $status
