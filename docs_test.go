package perch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents lists the Markdown files that users read.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("docs: %v, %v", files, err)
	}
	return append(files, "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestDocumentedCode builds every Go program the documents show, and finds every
// fragment, word for word, in a file of the core that is built.
func TestDocumentedCode(t *testing.T) {
	t.Parallel()
	sources := squeeze(goSources(t))
	for _, doc := range documents(t) {
		for _, block := range goBlock.FindAllStringSubmatch(readFile(t, doc), -1) {
			code := block[1]
			if strings.HasPrefix(code, "package main\n") {
				file := filepath.Join(t.TempDir(), "main.go")
				if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
					t.Errorf("%s: a program does not build: %v\n%s", doc, err, out)
				}
			} else if !strings.Contains(sources, squeeze(code)) {
				t.Errorf("%s: no Go file contains\n%s", doc, code)
			}
		}
	}
}

// goSources is every Go file of the core, one after the other.
func goSources(t *testing.T) string {
	t.Helper()
	const format = `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`
	var all strings.Builder
	for _, file := range goList(t, "linux", "-f", format, "./...") {
		all.WriteString(readFile(t, file))
	}
	return all.String()
}

// squeeze makes code comparable whatever its indentation.
func squeeze(code string) string { return strings.Join(strings.Fields(code), " ") }

var (
	markdownCode = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`")
	markdownLink = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
)

// TestDocumentedLinks follows every link of the documents into the tree.
func TestDocumentedLinks(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		for _, link := range markdownLink.FindAllStringSubmatch(markdownCode.ReplaceAllString(readFile(t, doc), ""), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), link[1])); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}

// TestReadmeLength keeps the README a page that is read.
func TestReadmeLength(t *testing.T) {
	t.Parallel()
	if n := strings.Count(readFile(t, "README.md"), "\n"); n > 200 {
		t.Errorf("README.md has %d lines, more than 200", n)
	}
}
