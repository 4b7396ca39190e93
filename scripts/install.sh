#!/bin/sh
# make install: what the end-to-end tests need beside Go. Node packages come from npm by
# the lock file; Node, Chromium and Firefox come from the system's packages when they are
# missing and we may install them. What cannot be installed is named, with the command that does.
set -eu
cd "$(dirname "$0")/.."
NODE_MIN=20 # what package.json asks for

say() { printf 'install: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# system WHAT PACKAGE…: installs by apt, or says what to do.
system() {
	what=$1
	shift
	if ! have apt-get; then
		say "$what is missing, and this system has no apt-get: install it, then run make again."
		exit 1
	fi
	if [ "$(id -u)" != 0 ] && ! { have sudo && sudo -n true 2>/dev/null; }; then
		say "$what is missing, and installing it takes root: run \"apt-get install $*\" as root, then make again."
		exit 1
	fi
	say "$what is missing: apt-get install $*"
	export DEBIAN_FRONTEND=noninteractive
	root apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 ||
		{ root apt-get update -q >&2 && root apt-get install -y -q --no-install-recommends "$@" >&2; } ||
		{ say "apt-get could not install $what: see its message above."; exit 1; }
}

have node || system "Node.js" nodejs npm
have npm || system "npm" npm
major=$(node -p 'process.versions.node.split(".")[0]')
if [ "$major" -lt "$NODE_MIN" ]; then
	say "Node.js $(node --version) is too old: the tests need $NODE_MIN or newer."
	exit 1
fi

have chromium || have chromium-browser || have google-chrome || system "Chromium" chromium
have firefox-esr || have firefox || system "Firefox" firefox-esr

# npm ci empties node_modules first, so it runs only when the lock file is newer.
cd internal/e2e
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	say "npm ci in internal/e2e"
	npm ci --no-audit --no-fund --loglevel=error >&2 ||
		{ say "npm ci failed: see its message above (it needs the npm registry, once)."; exit 1; }
	touch node_modules/.package-lock.json
fi
