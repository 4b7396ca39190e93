package compliance

import (
	"fmt"
	"os"
	"strings"
)

// Sections are the names of the case list's sections, in our words.
var Sections = map[int]string{
	1:  "Framing",
	2:  "Pings and pongs",
	3:  "Reserved bits",
	4:  "Reserved opcodes",
	5:  "Fragmentation",
	6:  "UTF-8",
	7:  "Closing",
	9:  "Limits and performance",
	10: "Automatic fragmentation",
	12: "Compression, kinds of content",
	13: "Compression, parameters",
}

// cutTable finds what stands between the marks of a table in a document.
func cutTable(text, name string) (before, table, after string, err error) {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", "", "", fmt.Errorf("the document has no place for the table: want the lines %q and %q", strings.TrimSpace(begin), end)
	}
	return before + begin, table, end + after, nil
}

// Table returns what the document says between the marks of a table.
func Table(document, name string) (string, error) {
	text, err := os.ReadFile(document)
	if err != nil {
		return "", err
	}
	_, table, _, err := cutTable(string(text), name)
	return table, err
}

// ReplaceTable writes a table between its marks.
func ReplaceTable(document, name, table string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, _, after, err := cutTable(string(text), name)
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(before+table+after), 0o644)
}
