package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The short form of make soak: everybody comes and goes, nothing is lost and nothing is left. It is too short for a trend.
func TestSoak(t *testing.T) {
	t.Parallel()
	plot := filepath.Join(t.TempDir(), "soak.svg")
	var out bytes.Buffer
	err := run(t.Context(), []string{"-clients", "200", "-for", "9s", "-warm", "0", "-kept", "4000000", "-stay", "3s", "-drift", "2", "-plot", plot}, &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(plot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if want := 5; lines != want {
		t.Errorf("%d lines in the plot, want %d", lines, want)
	}
}

// made is a soak whose figures are as they should be, but for what change does.
func made(change func(i int, f figures)) *soak {
	s := &soak{plan: &plan{drift: 0.05, kept: 1 << 20}, start: figures{}, warmed: figures{}, end: figures{}}
	for _, m := range measured {
		s.start[m.name], s.warmed[m.name], s.end[m.name] = 10, 11, 10+m.once
	}
	for i := range 400 {
		f := figures{}
		for _, m := range measured {
			f[m.name] = 1000 + 100*math.Sin(float64(i)) // it goes up and down, but leads nowhere
		}
		change(i, f)
		s.samples = append(s.samples, sample{time.Duration(i) * time.Second, f})
	}
	s.from, s.to = within(s.samples, 100*time.Second, 300*time.Second)
	return s
}

// What is left, and what grows, does not pass.
func TestVerdict(t *testing.T) {
	t.Parallel()
	same := func(int, figures) {}
	for name, tt := range map[string]struct {
		name string
		s    *soak
		want string
	}{
		"all is well":        {"heap", made(same), ""},
		"grew and stopped":   {"heap", made(func(i int, f figures) { f["heap"] += 10 * float64(min(i, 190)) }), ""},
		"shrinks":            {"heap", made(func(i int, f figures) { f["heap"] -= float64(i) }), ""},
		"grows":              {"heap", made(func(i int, f figures) { f["heap"] += float64(i) }), "rises by more than 5 %"},
		"grows a little":     {"heap", made(func(i int, f figures) { f["heap"] += float64(i) / 10 }), ""},
		"goroutines grow":    {"goroutines", made(func(i int, f figures) { f["goroutines"] += float64(i) }), "rises by more than 5 %"},
		"one that stays":     {"goroutines", made(same), ""},
		"a session is left":  {"sessions", func() *soak { s := made(same); s.end["sessions"]++; return s }(), "is not as at the start"},
		"a goroutine more":   {"goroutines", func() *soak { s := made(same); s.end["goroutines"]++; return s }(), "is not as at the start"},
		"a file less":        {"files", func() *soak { s := made(same); s.end["files"] = 9; return s }(), "is not as at the start"},
		"the heap has grown": {"heap", func() *soak { s := made(same); s.end["heap"] += 2 << 20; return s }(), "is 2.0 MiB more than after the first time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, m := range measured {
				if got := strings.Join(tt.s.wrong(m), ", "); m.name == tt.name && got != tt.want || m.name != tt.name && got != "" {
					t.Errorf("%s: %q", m.name, got)
				}
			}
		})
	}
}

// A server that ends is no good one, and neither is one that is not there.
func TestFailure(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]string{"not there": "/nowhere", "ends": "/bin/true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := run(t.Context(), []string{"-clients", "1", "-for", "1s", "-server", server}, io.Discard); err == nil {
				t.Error("it passes")
			}
		})
	}
	t.Run("no seed", func(t *testing.T) {
		if _, err := parse([]string{"-seed", "x"}); err == nil {
			t.Error("it is taken")
		}
	})
}
