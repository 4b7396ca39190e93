package perch_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const securityDocument = "docs/security.md"

// vulnerabilities are those published for Socket.IO's implementation in JavaScript and for what it is made of.
var vulnerabilities = []string{
	"CVE-2017-16031", "CVE-2020-28481", "CVE-2024-38355", "CVE-2020-36048", "CVE-2022-21676", "CVE-2022-41940", "CVE-2023-31125",
	"CVE-2026-59724", "CVE-2026-59725", "CVE-2020-36049", "CVE-2022-2421", "CVE-2023-32695", "CVE-2026-33151", "CVE-2026-69185",
	"CVE-2016-10536", "CVE-2020-28502", "CVE-2021-31597", "CVE-2024-47764", "CVE-2016-10518", "CVE-2016-10542", "GHSA-5v72-xg48-5rpm",
	"CVE-2021-32640", "CVE-2024-37890", "CVE-2026-45736", "CVE-2026-48779",
}

// vectors are what is open, or left to the program, there.
var vectors = []string{
	"CONNECT burst", "Slow consumer", "Event flood", "Connection flood", "Unknown-namespace spam", "Idle sessions", "Slow loris", "Oversized poll after upgrade, endless reconnects",
	"JSON depth, duplicate keys, giant numbers, ack ids",
	"Dynamic namespace creation", "Ack maps", "Recovery buffer", "Cross-site WS hijack", "Compression", "Redis trust",
}

// safeDefaults are what else holds without being asked for.
var safeDefaults = []string{"Cookie attributes", "HTML", "JSONP", "Error texts", "Forwarding headers", "Rooms"}

// TestSecurityHasEveryRow finds each vector once, with what holds by default and a test, or with the reason why it cannot arise.
func TestSecurityHasEveryRow(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile(`(?m)^\| ([^|:]+): ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	named := regexp.MustCompile("^`\\w+\\.(?:Test|Fuzz)\\w+`(?:, `\\w+\\.(?:Test|Fuzz)\\w+`)*$")
	page := readFile(t, securityDocument)
	times := map[string]int{}
	for _, m := range row.FindAllStringSubmatch(page, -1) {
		label, byDefault, tests := m[1], m[3], m[5]
		times[label]++
		switch never := strings.HasPrefix(byDefault, "n/a: "); {
		case never && tests != "–":
			t.Errorf("%s cannot arise, and names tests", label)
		case !never && !named.MatchString(tests):
			t.Errorf("%s: tests are %s", label, tests)
		}
		if id := strings.NewReplacer("CVE-", "CVE_", "GHSA-", "GHSA_", "-", "_").Replace(label); slices.Contains(vulnerabilities, label) &&
			tests != "–" && !strings.Contains(tests, ".Test"+id) && !strings.Contains(byDefault, "as for ") {
			t.Errorf("%s: no test is named after it", label)
		}
	}
	if lines := strings.Count(page, "\n| ") - 2*strings.Count(page, "\n| Vector"); lines != len(row.FindAllString(page, -1)) {
		t.Errorf("%d rows, of which %d can be read", lines, len(row.FindAllString(page, -1)))
	}
	for _, label := range slices.Concat(vulnerabilities, vectors, safeDefaults) {
		if times[label] != 1 {
			t.Errorf("%s stands in %d rows", label, times[label])
		}
		delete(times, label)
	}
	for label := range times {
		t.Errorf("%s has no business there", label)
	}
}
