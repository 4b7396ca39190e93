package main

import (
	"io/fs"
	"path"
	"regexp"
	"testing"
)

// What people write is text on the page, never markup: nothing in it makes elements or code of a string.
func TestPageShowsText(t *testing.T) {
	t.Parallel()
	markup := regexp.MustCompile(`\b(?:innerHTML|outerHTML|insertAdjacentHTML|setHTML\w*|createContextualFragment|DOMParser|srcdoc|document\.write\w*|eval|Function)\b|javascript:`)
	inline := regexp.MustCompile(`(?i)<script(?:\s+[^>]*)?>\s*[^<\s]|\son\w+\s*=`)
	scripts := 0
	err := fs.WalkDir(embedded, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		source, err := fs.ReadFile(embedded, name)
		if err != nil {
			return err
		}
		switch path.Ext(name) {
		case ".js":
			scripts++
			if found := markup.Find(source); found != nil {
				t.Errorf("%s: %s", name, found)
			}
		case ".html":
			if found := inline.Find(source); found != nil {
				t.Errorf("%s: %s", name, found)
			}
		}
		return nil
	})
	if err != nil || scripts == 0 {
		t.Errorf("%d scripts, %v", scripts, err)
	}
}
