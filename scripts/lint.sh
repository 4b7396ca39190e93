#!/bin/sh
# make lint: every check runs, even after one has failed, so that one run shows all there is to mend.
set -u
cd "$(dirname "$0")/.." || exit 1
GO=${GO:-go}
STATICCHECK=honnef.co/go/tools/cmd/staticcheck@v0.8.2
MAX_LINES=600

modules=$($GO list -m -f '{{.Dir}}') || exit 1
failed=0

# check NAME COMMAND…: fails if the command fails.
check() {
	what=$1
	shift
	if ! out=$("$@" 2>&1); then
		failed=1
		printf 'lint: %s\n%s\n\n' "$what" "$out" >&2
	fi
}

# none COMMAND…: fails if the command prints anything.
none() {
	out=$("$@")
	[ -z "$out" ] || { printf '%s\n' "$out"; return 1; }
}

go_files() { find . -name node_modules -prune -o -name '*.go' -type f -print; }

formatting() { go_files | xargs gofmt -s -l; }
long_files() { go_files | xargs wc -l | awk -v max=$MAX_LINES '$2 != "total" && $1 >= max { print $2 ": " $1 " lines" }'; }
in_module() { (cd "$1" && shift && "$@"); }

# A sleep is a guess about somebody else's machine, except on testing/synctest's clock;
# a skipped test is a hole in a green run.
sleeps() {
	go_files | xargs grep -L '"testing/synctest"' | xargs grep -nE '(^|[^[:alnum:]_])time\.Sleep\('
	go_files | xargs grep -nE '(^|[^[:alnum:]_])[tbf]\.Skip(f|Now)?\('
}

# Every package says what it is for in doc.go.
undocumented() {
	for m in $modules; do
		(cd "$m" && $GO list -f '{{if ne .Name "main"}}{{.Dir}}{{end}}' ./...) | while read -r dir; do
			[ -f "$dir/doc.go" ] || echo "$dir"
		done
	done
}

# A module that go.work does not name is skipped by every other check.
outside_workspace() {
	find "$PWD" -name node_modules -prune -o -name go.mod -type f -print | sed 's,/go\.mod$,,' | while read -r dir; do
		printf '%s\n' "$modules" | grep -qxF "$dir" || echo "$dir"
	done
}

check "gofmt -s would change" none formatting
check "Go files of $MAX_LINES lines or more" none long_files
check "sleeping or skipping" none sleeps
check "packages without doc.go" none undocumented
check "modules that are not in go.work" none outside_workspace

# go mod tidy knows nothing of go.work, and a module that is published has no replace for
# the core in its go.mod: it is given one in a copy.
tidy() {
	if grep -q 'perch-go/perch v0' go.mod && ! grep -q '^replace' go.mod; then
		copy=$(mktemp -d) && cp go.mod "$copy/go.mod" && cp go.sum "$copy/go.sum" &&
			GOWORK=off $GO mod edit -replace "github.com/perch-go/perch=$root" "$copy/go.mod" &&
			GOWORK=off $GO mod tidy -diff -modfile "$copy/go.mod"
		ok=$?
		rm -rf "$copy"
		return $ok
	fi
	GOWORK=off $GO mod tidy -diff
}

verify() {
	if grep -q 'perch-go/perch v0' go.mod && ! grep -q '^replace' go.mod; then
		$GO mod verify # by the workspace: the core is not published
		return
	fi
	GOWORK=off $GO mod verify
}

root=$PWD
for m in $modules; do
	check "$m: go vet" in_module "$m" $GO vet ./...
	check "$m: staticcheck" in_module "$m" $GO run $STATICCHECK ./...
	check "$m: go mod tidy" in_module "$m" tidy
	check "$m: go mod verify" in_module "$m" verify
done

# Who imports the core has no go.work, and may be on any of these.
check "the core without go.work: go build" env GOWORK=off $GO build ./...
for os in darwin windows; do
	check "the core on $os: go vet" env GOWORK=off GOOS=$os $GO vet ./...
done

[ $failed = 0 ] && echo "lint: ok"
exit $failed
