package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the suite may say of a case is counted, and what it may not is an error.
func TestSummarize(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "index.json")
	const index = `{"perch": {
		"1.1.1": {"behavior": "OK", "behaviorClose": "OK", "duration": 1, "remoteCloseCode": 1000},
		"1.1.2": {"behavior": "OK", "behaviorClose": "FAILED"},
		"6.4.1": {"behavior": "NON-STRICT", "behaviorClose": "OK"},
		"7.1.6": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"},
		"12.1.1": {"behavior": "UNIMPLEMENTED", "behaviorClose": "OK"},
		"13.3.1": {"behavior": "UNIMPLEMENTED", "behaviorClose": "OK"},
		"13.1.1": {"behavior": "WRONG CODE", "behaviorClose": "OK"}}}`
	if err := os.WriteFile(file, []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := readResults(file)
	if err != nil {
		t.Fatal(err)
	}
	table, bad := summarize(results)
	for _, row := range []string{"| 1 Framing | 2 | 2 | 0 | 0 | 0 | 0 |\n", "| 6 UTF-8 | 1 | 0 | 0 | 1 | 0 | 0 |\n", "| 7 Closing | 1 | 0 | 1 | 0 | 0 | 0 |\n",
		"| 13 Compression, parameters | 2 | 0 | 0 | 0 | 1 | 1 |\n"} {
		if !strings.Contains(table, row) {
			t.Errorf("the table has no %q:\n%s", row, table)
		}
	}
	const want = "[case 1.1.2: OK, close: FAILED case 12.1.1: UNIMPLEMENTED, close: OK case 13.1.1: WRONG CODE, close: OK case 6.4.1: NON-STRICT, close: OK]"
	if got := fmt.Sprint(bad); got != want {
		t.Errorf("errors %s", got)
	}
	if _, bad := summarize(nil); len(bad) != 1 {
		t.Errorf("no case: %v", bad)
	}
	if _, err := readResults(file + ".none"); err == nil {
		t.Error("no file, and no error")
	}
}
