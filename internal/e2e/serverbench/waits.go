package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wait is for how long goroutines have waited that were stopped, or let go, at one place.
type wait struct {
	seconds float64
	frames  []string // functions, the innermost first
}

// waits are by the addresses of their stacks.
type waits map[string]wait

// since is what has been added to earlier ones.
func (w waits) since(before waits) waits {
	added := waits{}
	for stack, wait := range w {
		if wait.seconds -= before[stack].seconds; wait.seconds > 0 {
			added[stack] = wait
		}
	}
	return added
}

// parseWaits reads a profile of kind mutex or block in the form that people read.
func parseWaits(text io.Reader) (waits, error) {
	all, stack, perSecond := waits{}, "", 0.0
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		frame, isFrame := strings.CutPrefix(line, "#\t")
		rate, isRate := strings.CutPrefix(line, "cycles/second=")
		switch cycles, at, isStack := strings.Cut(line, " @ "); {
		case line == "sampling period=0":
			return nil, errors.New("the profile is not recorded")
		case isRate:
			perSecond, _ = strconv.ParseFloat(rate, 64)
		case isFrame && stack != "":
			fields := strings.Split(frame, "\t") // address, function+offset, file:line
			if len(fields) > 1 {
				function := fields[1]
				if i := strings.LastIndex(function, "+0x"); i > 0 {
					function = function[:i]
				}
				wait := all[stack]
				wait.frames = append(wait.frames, function)
				all[stack] = wait
			}
		case isStack:
			cycles, _, _ := strings.Cut(cycles, " ")
			n, err := strconv.ParseFloat(cycles, 64)
			if err != nil || perSecond <= 0 {
				return nil, fmt.Errorf("a line of a profile that is not understood: %q", line)
			}
			stack = at
			all[stack] = wait{seconds: n / perSecond}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if perSecond <= 0 {
		return nil, errors.New("this is no profile of waiting")
	}
	return all, nil
}

const ours = "github.com/perch-go/perch"

// lock is the function that has waited for a lock, or let it go; what it is of package sync's that was used does not matter. It
// is false for other things that can be waited for, and for the runtime's own locks.
func (w wait) lock() (function string, ok bool) {
	for i, frame := range w.frames {
		if strings.HasPrefix(frame, "sync.") || strings.HasPrefix(frame, "internal/sync.") {
			ok = ok || strings.Contains(frame, "Mutex)")
			continue
		}
		return w.frames[i], ok
	}
	return "", false
}

// locks sums up who has waited for locks: functions of ours, by name, and all others together.
func (w waits) locks() (own map[string]float64, others float64) {
	own = map[string]float64{}
	for _, wait := range w {
		function, ok := wait.lock()
		switch name, is := strings.CutPrefix(function, ours); {
		case !ok:
		case is && (name[0] == '/' || name[0] == '.') && !strings.HasPrefix(name, "/internal/e2e/"):
			own[strings.TrimLeft(name, "/.")] += wait.seconds
		default:
			others += wait.seconds
		}
	}
	return own, others
}

// largest are the names with the largest values.
func largest(values map[string]float64, most int) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(values[b], values[a]), strings.Compare(a, b))
	})
	return names[:min(most, len(names))]
}

// fetchWaits reads a profile of a server that records it.
func fetchWaits(ctx context.Context, addr, kind string) (waits, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/debug/pprof/"+kind+"?debug=1", nil)
	if err != nil {
		return nil, err
	}
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := web.Do(request)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", request.URL, resp.Status)
	}
	return parseWaits(resp.Body)
}
