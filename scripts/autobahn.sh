#!/bin/sh
# make compliance: installs the Autobahn test suite in bin/autobahn and runs it against the server.
# It is written in Python 2.7, which PYTHON2 may name. CASES chooses: CASES="1.*,2.*"; then the
# table of docs/compliance.md stays as it is.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
SUITE=0.8.2
VIRTUALENV=20.15.1 # the last for Python 2.7
home=$PWD/bin/autobahn

say() { printf 'compliance: %s\n' "$*" >&2; }

# python prints a Python 2.7 that runs: a shim of pyenv may be there and not.
python() {
	for p in ${PYTHON2:-} python2.7 python2 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do
		if "$p" -c 'import sys, ssl; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1; then
			printf '%s\n' "$p"
			return
		fi
	done
	say "Python 2.7 is missing, which the suite is written in: install it (pyenv install 2.7.18), or name it by PYTHON2."
	return 1
}

if [ ! -x "$home/venv/bin/wstest" ]; then
	python=$(python)
	say "installing autobahntestsuite $SUITE in bin/autobahn"
	mkdir -p "$home"
	"$python" -m pip install -q --disable-pip-version-check --target "$home/virtualenv" virtualenv==$VIRTUALENV 2>"$home/install.log" &&
		PYTHONPATH="$home/virtualenv" "$python" -m virtualenv -q "$home/venv" 2>>"$home/install.log" &&
		"$home/venv/bin/pip" install -q --disable-pip-version-check autobahntestsuite==$SUITE 2>>"$home/install.log" ||
		{ cat "$home/install.log" >&2; say "the suite could not be installed: see above (it needs PyPI, once)."; exit 1; }
fi

say "the suite's own reports will be in bin/autobahn/reports"
if [ -n "${CASES:-}" ]; then
	exec $GO run ./internal/compliance/autobahn -wstest "$home/venv/bin/wstest" -cases "$CASES"
fi
exec $GO run ./internal/compliance/autobahn -wstest "$home/venv/bin/wstest" -document docs/compliance.md
