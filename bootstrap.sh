#!/bin/sh
# Makes .venv from requirements.lock; called by make, safe to call again.
set -eu
PYTHON="${PYTHON:-python3}"

say() { printf '%s\n' "$*" >&2; }

command -v "$PYTHON" >/dev/null 2>&1 || { say "Daybook needs Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "Daybook needs Python 3.11 or newer, and $PYTHON is $("$PYTHON" -V 2>&1); name another one with: make PYTHON=python3.12"
  exit 1
}
# Debian and Ubuntu keep the venv module's installer in a package of its own.
if ! "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "Python's venv package is missing; installing python3-venv"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    say "Python's venv package is missing. Install it and try again: sudo apt-get install python3-venv"
    exit 1
  fi
fi
say "Setting up .venv (about a minute, once)"
rm -rf .venv
"$PYTHON" -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --editable .
