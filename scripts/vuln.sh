#!/bin/sh
# make vuln: known vulnerabilities in what the code calls, in every module, by govulncheck. It needs vuln.go.dev, so it is
# no part of make test; it fails if there are any, and if it could not look.
set -u
cd "$(dirname "$0")/.." || exit 1
GO=${GO:-go}
VULNDB=${VULNDB:-https://vuln.go.dev}
GOVULNCHECK=golang.org/x/vuln/cmd/govulncheck@v1.9.0

modules=$($GO list -m -f '{{.Dir}}') || exit 1
failed=0
for m in $modules; do
	echo "$m"
	out=$(cd "$m" && $GO run $GOVULNCHECK -db "$VULNDB" ./... 2>&1)
	status=$?
	printf '%s\n' "$out"
	[ $status = 0 ] && continue
	failed=1
	case $out in
	*"fetching vulnerabilities"* | *"no such host"* | *proxy.golang.org*)
		echo "vuln: govulncheck or its database $VULNDB cannot be reached, so nothing was checked: run it where they can be, or with a copy (VULNDB=file:///path)" >&2
		exit 1
		;;
	esac
done
[ $failed = 0 ] && echo "vuln: none known"
exit $failed
