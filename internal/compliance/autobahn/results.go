package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/perch-go/perch/internal/compliance"
)

// agent is what the server is called in the suite's reports.
const agent = "perch"

// result is what the suite says of one case: of what was received, and of how the connection ended.
type result struct {
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
}

// readResults reads the index of the suite's reports.
func readResults(file string) (map[string]result, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var index map[string]map[string]result
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return index[agent], nil
}

func accepted(behavior string) bool { return behavior == "OK" || behavior == "INFORMATIONAL" }

// declined reports whether a case insists on a window that the server has not, so that it goes without compression.
func declined(id string) bool {
	return strings.HasPrefix(id, "13.3.") || strings.HasPrefix(id, "13.5.")
}

// summarize counts the results by section, and lists as errors those that may not be.
func summarize(results map[string]result) (table string, bad []error) {
	counts := map[int]map[string]int{}
	for id, r := range results {
		section, err := strconv.Atoi(id[:strings.IndexByte(id+".", '.')])
		if err != nil {
			bad = append(bad, fmt.Errorf("case %q has no section", id))
			continue
		}
		if counts[section] == nil {
			counts[section] = map[string]int{}
		}
		counts[section]["cases"]++
		counts[section][r.Behavior]++
		if !accepted(r.Behavior) && !(r.Behavior == "UNIMPLEMENTED" && declined(id)) || !accepted(r.BehaviorClose) {
			bad = append(bad, fmt.Errorf("case %s: %s, close: %s", id, r.Behavior, r.BehaviorClose))
		}
	}
	if len(results) == 0 {
		bad = append(bad, errors.New("no case was run"))
	}
	slices.SortFunc(bad, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	var b strings.Builder
	b.WriteString("| Section | Cases | Passed | Informational | Not strict | Extension declined | Failed |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, section := range slices.Sorted(maps.Keys(counts)) {
		c := counts[section]
		known := c["OK"] + c["INFORMATIONAL"] + c["NON-STRICT"] + c["UNIMPLEMENTED"]
		fmt.Fprintf(&b, "| %d %s | %d | %d | %d | %d | %d | %d |\n", section, compliance.Sections[section],
			c["cases"], c["OK"], c["INFORMATIONAL"], c["NON-STRICT"], c["UNIMPLEMENTED"], c["cases"]-known)
	}
	return b.String(), bad
}
