#!/bin/sh
# make fuzz: each fuzz target of each module for FUZZTIME. A failing input is kept by
# go test under the package's testdata/fuzz; commit it with the fix.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}

$GO list -m -f '{{.Dir}}' | while read -r module; do
	cd "$module"
	for package in $($GO list ./...); do
		for target in $($GO test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
			echo "$package $target"
			$GO test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "$package"
		done
	done
done
