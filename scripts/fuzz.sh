#!/bin/sh
# make fuzz: each fuzz target of each module for FUZZTIME, then how often each was run and what it found, and an
# error if that was anything. TARGETS, a regular expression on "package target", leaves out the others. A failing input
# is kept by go test under the package's testdata/fuzz; commit it with the fix.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
summary=$(mktemp)
log=$(mktemp)
trap 'rm -f "$summary" "$log"' EXIT

$GO list -m -f '{{.Dir}}' >"$log"
modules=$(cat "$log")
for module in $modules; do
	cd "$module"
	for package in $($GO list -f '{{.ImportPath}}:{{.Dir}}' ./...); do
		dir=${package#*:} package=${package%%:*}
		for target in $(cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do
			printf '%s %s\n' "$package" "$target" | grep -Eq "${TARGETS:-.}" || continue
			echo "== $package $target"
			# What is interesting is made small for a second, not the minute that is go test's default and would be most of ours.
			if $GO test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 1s "$package" >"$log" 2>&1; then
				found=0
			elif grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
				found=0 # the time was over while a worker was busy, and go test takes that for a failure
			else
				found=1
			fi
			cat "$log"
			# Of a target that fails at once there is no line.
			runs=$(sed -n 's/^fuzz: .*execs: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
			printf '%-60s %-22s %10s  %s\n' "$package" "$target" "${runs:-0}" "$found" >>"$summary"
		done
	done
done

printf '\n%-60s %-22s %10s  %s\n' package target executions findings
cat "$summary"
! grep -q ' [^0]$' "$summary"
