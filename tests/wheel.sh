#!/bin/sh
# Builds the wheel, looks into it, and runs what it installs in an environment of its own; called by `make wheel`.
set -eu
cd "$(dirname "$0")/.."
PYTHON="$PWD/.venv/bin/python"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT INT TERM

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "wheel: $*"
  exit 1
}

say "wheel: building"
"$PYTHON" -m build --wheel --no-isolation --outdir "$WORK/dist" . >"$WORK/build.log" 2>&1 || {
  cat "$WORK/build.log" >&2
  fail "it cannot be built"
}
set -- "$WORK"/dist/*.whl
[ $# = 1 ] || fail "expected one wheel, built $#"

"$PYTHON" - "$1" <<'PY' || fail "its content is not what it should be"
"""Every file of every room is in the wheel, and nothing else."""

import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

rooms = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
expected = {"protocol", "storage", "diary", "schedules", "reports", "bot", "web", "rehearsal", "cli"}
assert set(rooms) == expected, f"pyproject.toml packs {sorted(rooms)}"
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
tops = {name.partition("/")[0] for name in names}
strange = {top for top in tops - expected if not top.endswith(".dist-info")}
assert not strange, f"unknown at the top: {sorted(strange)}"
kinds = {".py", ".toml", ".po", ".mako", ".html", ".css", ".js", ".svg", ".ttf", ".woff2", ".json", ".txt"}
there = {
    path.as_posix()
    for room in rooms
    for path in Path(room).rglob("*")
    if path.is_file() and path.suffix in kinds and "__pycache__" not in path.parts
}
assert there <= names, f"missing: {sorted(there - names)}"
surplus = {name for name in names - there if not PurePosixPath(name).parts[0].endswith(".dist-info")}
assert not surplus, f"not known as part of Daybook: {sorted(surplus)}"
for pattern in ("protocol/bundled/*.toml", "bot/locale/*.po", "rehearsal/page/*.html", "web/templates/*.html", "web/static/*", "web/locale/*.po", "storage/migrations/versions/*.py"):
    found = [name for name in names if PurePosixPath(name).match(pattern)]
    assert found, f"nothing like {pattern}"
PY

say "wheel: installing it as the lock says"
"$PYTHON" -m venv "$WORK/venv"
PIP="$WORK/venv/bin/python -m pip --disable-pip-version-check --quiet --quiet"
$PIP install --require-hashes --no-deps -r requirements.lock
$PIP install --no-deps "$1"
$PIP check

# Elsewhere, so that the rooms of this folder cannot be what is imported.
mkdir "$WORK/elsewhere"
cd "$WORK/elsewhere"
DAYBOOK="$WORK/venv/bin/daybook"
"$DAYBOOK" --version >"$WORK/version"
grep -Eq '^[0-9]+\.[0-9]+' "$WORK/version" || fail "daybook --version says $(cat "$WORK/version")"
"$DAYBOOK" --help | grep -q serve || fail "daybook --help does not name serve"
"$DAYBOOK" protocol check magnesium-clbp || fail "the bundled protocol is refused"
"$DAYBOOK" init >"$WORK/init.log" 2>&1 || {
  cat "$WORK/init.log" >&2
  fail "daybook init does not make a database"
}
say "wheel: daybook $(cat "$WORK/version") is complete and runs"
