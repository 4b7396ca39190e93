package main

import (
	"bytes"
	"maps"
	"math"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const profileText = `--- mutex:
cycles/second=1000
sampling period=1
2000 3 @ 0x1 0x2 0x3
#	0x1	sync.(*Mutex).Unlock+0x1			/go/src/sync/mutex.go:65
#	0x2	github.com/perch-go/perch/engineio.(*Session).Send+0x2f	/engineio/session.go:1

500 1 @ 0x1 0x4
#	0x1	internal/sync.(*Mutex).Unlock+0x1	/go/src/internal/sync/mutex.go:65
#	0x11	internal/sync.(*HashTrieMap[...]).Swap+0x1	/go/src/internal/sync/hashtriemap.go:1
#	0x4	github.com/perch-go/perch.(*App).Start+0x2f	/app.go:1

300 1 @ 0x1 0x5
#	0x1	sync.(*RWMutex).RUnlock+0x1	/go/src/sync/rwmutex.go:65
#	0x5	net/http.(*ServeMux).match+0x2f	/mux.go:1
#	0x2	github.com/perch-go/perch/engineio.(*Session).Send+0x2f	/engineio/session.go:1

70 1 @ 0x1 0x6
#	0x1	sync.(*Mutex).Unlock+0x1	/go/src/sync/mutex.go:65
#	0x6	github.com/perch-go/perch/internal/e2e/conformance.bench+0x2f	/profiles.go:1

7 1 @ 0x7 0x2
#	0x7	runtime.unlock+0x1	/go/src/runtime/lock.go:1
#	0x2	github.com/perch-go/perch/engineio.(*Session).Send+0x2f	/engineio/session.go:1

7 1 @ 0x8 0x2
#	0x8	sync.(*WaitGroup).Wait+0x1	/go/src/sync/waitgroup.go:1
#	0x2	github.com/perch-go/perch/engineio.(*Session).Send+0x2f	/engineio/session.go:1

7 1 @ 0x9
#	0x9	github.com/perch-go/perchance.Lock+0x1	/x.go:1
`

// What counts is a lock of package sync's, and whose it is says the first function above that package.
func TestWaits(t *testing.T) {
	t.Parallel()
	all, err := parseWaits(strings.NewReader(profileText))
	if err != nil || len(all) != 7 {
		t.Fatal(all, err)
	}
	own, others := all.locks()
	if want := map[string]float64{"engineio.(*Session).Send": 2, "(*App).Start": 0.5}; !maps.Equal(own, want) || math.Abs(others-.37) > 1e-9 {
		t.Error(own, others)
	}
	if names := largest(own, 1); !slices.Equal(names, []string{"engineio.(*Session).Send"}) {
		t.Error(names)
	}
	earlier, err := parseWaits(strings.NewReader(strings.Replace(profileText, "2000 3", "1500 2", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if own, others := all.since(earlier).locks(); !maps.Equal(own, map[string]float64{"engineio.(*Session).Send": 0.5}) || others != 0 {
		t.Error(own, others)
	}
	for _, wrong := range []string{
		"", "404 page not found", strings.Replace(profileText, "period=1", "period=0", 1), strings.Replace(profileText, "2000 3", "x 3", 1),
	} {
		if _, err := parseWaits(strings.NewReader(wrong)); err == nil {
			t.Errorf("%.40q passes", wrong)
		}
	}
}

// TestProfileOfRuntime has the runtime itself say who waits.
func TestProfileOfRuntime(t *testing.T) {
	t.Parallel()
	runtime.SetMutexProfileFraction(1)
	defer runtime.SetMutexProfileFraction(0)
	var mu sync.Mutex
	for end := time.Now().Add(time.Minute); ; {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 1000 {
					mu.Lock()
					runtime.Gosched()
					mu.Unlock()
				}
			})
		}
		all.Wait()
		var text bytes.Buffer
		if err := pprof.Lookup("mutex").WriteTo(&text, 1); err != nil {
			t.Fatal(err)
		}
		waits, err := parseWaits(&text)
		if err != nil {
			t.Fatal(err)
		}
		own, others := waits.locks()
		if len(own) > 0 {
			t.Fatalf("those of tests are not ours: %v", own)
		}
		if others > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nobody waits in %v", waits)
		}
	}
}
