package main

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// within are the numbers of the samples that were taken between two times: from one up to and without another.
func within(all []sample, from, to time.Duration) (first, last int) {
	first = sort.Search(len(all), func(i int) bool { return all[i].at >= from })
	last = sort.Search(len(all), func(i int) bool { return all[i].at >= to })
	return first, last
}

// trend is the line that fits a figure best: its mean, and by how much it rises from the first sample to the last.
func trend(samples []sample, name string) (mean, rise float64) {
	if len(samples) == 0 {
		return math.NaN(), math.NaN()
	}
	var t, sum float64
	for _, s := range samples {
		t += s.at.Seconds()
		sum += s.figures[name]
	}
	n := float64(len(samples))
	t, mean = t/n, sum/n
	var above, below float64
	for _, s := range samples {
		d := s.at.Seconds() - t
		above += d * (s.figures[name] - mean)
		below += d * d
	}
	if below == 0 {
		return mean, 0
	}
	return mean, above / below * (samples[len(samples)-1].at - samples[0].at).Seconds()
}

// figure is something that the server has or uses.
type figure struct {
	name, title string
	counted     bool    // at the end there is as much as at the start, or it is memory
	once        float64 // but for so much that the first client brings and that stays
}

// measured is what is compared. What stays is the poller of connections that are quiet: a goroutine and an epoll descriptor.
var measured = []figure{
	{name: "sessions", title: "sessions", counted: true},
	{name: "sockets", title: "sockets", counted: true},
	{name: "goroutines", title: "goroutines", counted: true, once: 1},
	{name: "files", title: "file descriptors", counted: true, once: 1},
	{name: "heap", title: "heap after a collection"},
	{name: "resident", title: "resident memory"},
}

// steady is the time that counts without its first part, in which clients arrive.
func (s *soak) steady() []sample {
	all := s.samples[s.from:s.to]
	return all[len(all)/4:]
}

// half is the second half of the time that counts.
func (s *soak) half() []sample {
	all := s.samples[s.from:s.to]
	return all[len(all)/2:]
}

// report prints what was measured and checks it; it returns how many checks failed.
func (s *soak) report() (failed int) {
	fmt.Fprintln(s.out, "\n| | at the start | after the first time | lowest, mean, highest | the second half rises by | at the end | |")
	fmt.Fprintln(s.out, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, m := range measured {
		wrong := s.wrong(m)
		failed += len(wrong)
		verdict := "passes"
		if len(wrong) > 0 {
			verdict = "**" + strings.Join(wrong, ", ") + "**"
		}
		steady := s.steady()
		least, most := math.Inf(1), math.Inf(-1)
		for _, sample := range steady {
			least, most = min(least, sample.figures[m.name]), max(most, sample.figures[m.name])
		}
		mean, _ := trend(steady, m.name)
		middle, rise := trend(s.half(), m.name)
		show := bench.Figure
		if !m.counted {
			show = func(v float64) string { return fmt.Sprintf("%.1f MiB", v/(1<<20)) }
		}
		fmt.Fprintf(s.out, "| %s | %s | %s | %s, %s, %s | %+.1f %% | %s | %s |\n", m.title, show(s.start[m.name]), show(s.warmed[m.name]),
			show(least), show(mean), show(most), rise/middle*100, show(s.end[m.name]), verdict)
	}
	fmt.Fprintln(s.out)
	n, first := s.crowd.Problems()
	if n > 0 {
		failed++
		fmt.Fprintf(s.out, "**%d well-behaved clients had problems**, the first of them:\n%s\n", n, strings.Join(first, "\n"))
	} else {
		fmt.Fprintln(s.out, "No well-behaved client missed anything or got it twice.")
	}
	for i, k := range s.kinds {
		if s.visits[i].Load() == 0 {
			failed++
			fmt.Fprintf(s.out, "**nobody was of the kind %q**\n", k.Name)
		}
	}
	s.describe()
	return failed
}

// wrong is what is not as it should be with one figure.
func (s *soak) wrong(m figure) (wrong []string) {
	if end, start := s.end[m.name], s.start[m.name]; m.counted && (end < start || end > start+m.once) {
		wrong = append(wrong, "is not as at the start")
	}
	if kept := s.end[m.name] - s.warmed[m.name]; m.name == "heap" && kept > float64(s.kept) {
		wrong = append(wrong, fmt.Sprintf("is %.1f MiB more than after the first time", kept/(1<<20)))
	}
	if mean, rise := trend(s.half(), m.name); !(rise <= s.drift*mean) {
		wrong = append(wrong, fmt.Sprintf("rises by more than %.0f %%", s.drift*100))
	}
	return wrong
}

// describe tells what happened meanwhile.
func (s *soak) describe() {
	var visits []string
	var total uint64
	for i, k := range s.kinds {
		n := s.visits[i].Load()
		total += n
		visits = append(visits, fmt.Sprintf("%s %d", k.Name, n))
	}
	all, most := s.crowd.Connections()
	fmt.Fprintf(s.out, "%d clients, %d connections, at most %d at once, %d refused by the system.\nOf each kind: %s.\n",
		total, all, most, s.crowd.Refused(), strings.Join(visits, "; "))
	var reasons []string
	for name, n := range s.end {
		if reason, ok := strings.CutPrefix(name, "closed: "); ok {
			reasons = append(reasons, fmt.Sprintf("%s %.0f", reason, n))
		}
	}
	slices.Sort(reasons)
	fmt.Fprintf(s.out, "Of the server: %.0f sessions, %.0f upgrades (%.0f abandoned), %.0f requests refused, %d lines logged; ended by %s.\n",
		s.end["opened"], s.end["upgrades"], s.end["half"], s.end["refused"], s.complaints.count(), strings.Join(reasons, ", "))
	var self syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self) // cannot fail for oneself
	seconds := time.Since(s.begin).Seconds()
	fmt.Fprintf(s.out, "CPU: %.0f %% of a core by the server, %.0f %% by the clients.\n",
		(s.cmd.ProcessState.UserTime()+s.cmd.ProcessState.SystemTime()).Seconds()/seconds*100, float64(self.Utime.Nano()+self.Stime.Nano())/1e9/seconds*100)
}
