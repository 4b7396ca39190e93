package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// The plot's measures, in the units of SVG.
const (
	plotWidth   = 900
	panelHeight = 220
	plotLeft    = 70
	plotRight   = 20
	plotTop     = 64
	panelGap    = 66
	mostPoints  = 450 // of a line, each the mean of some samples
)

// line is one figure over time.
type line struct{ name, title, color string }

// panel is lines that share a unit.
type panel struct {
	title string
	unit  float64
	lines []line
}

var panels = []panel{
	{"memory in MiB", 1 << 20, []line{
		{"resident", "resident", "#7a7a7a"},
		{"heap", "heap after a collection", "#0072b2"},
	}},
	{"number", 1, []line{
		{"sessions", "sessions", "#009e73"},
		{"files", "file descriptors", "#e69f00"},
		{"goroutines", "goroutines", "#d55e00"},
	}},
}

// draw writes the plot: a panel above another, over the same time.
func (s *soak) draw(path string) error { return os.WriteFile(path, []byte(s.svg()), 0o644) }

func (s *soak) svg() string {
	var b strings.Builder
	height := plotTop + len(panels)*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, height)
	title := fmt.Sprintf("Soak: %d clients at a time for %v, some of them hostile", s.clients, s.time)
	fmt.Fprintf(&b, `<text x="%d" y="26" font-size="17" font-weight="bold">%s</text>`+"\n", plotLeft, title)
	fmt.Fprintf(&b, `<text x="%d" y="44" fill="#555">%s, seed %d. Shaded: the time that counts; all leave before and after it</text>`+"\n",
		plotLeft, s.begin.Format("2 January 2006"), s.seed)
	for i, p := range panels {
		s.panel(&b, p, plotTop+i*(panelHeight+panelGap)+24)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (s *soak) panel(b *strings.Builder, p panel, top int) {
	unit, per := "seconds", 1.0
	span := s.samples[len(s.samples)-1].at.Seconds()
	if span > 300 {
		unit, per = "minutes", 60
	}
	most := 0.0
	for _, l := range p.lines {
		for _, sample := range s.samples {
			most = max(most, sample.figures[l.name]/p.unit)
		}
	}
	stepX, stepY := step(span/per), step(most)
	most = max(math.Ceil(most/stepY), 1) * stepY
	const width = plotWidth - plotLeft - plotRight
	x := func(seconds float64) float64 { return plotLeft + seconds/max(span, 1)*width }
	y := func(v float64) float64 { return float64(top) + panelHeight*(1-v/most) }

	if s.from < s.to {
		from, to := x(s.samples[s.from].at.Seconds()), x(s.samples[s.to-1].at.Seconds())
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#f3f6fa"/>`+"\n", from, top, to-from, panelHeight)
	}
	for v := 0.0; v <= most+stepY/2; v += stepY {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, y(v), plotWidth-plotRight, plotLeft-6, y(v)+4, number(v))
	}
	for v := 0.0; v*per <= span; v += stepX {
		fmt.Fprintf(b, `<path d="M%.1f %dv5" stroke="black"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x(v*per), top+panelHeight, x(v*per), top+panelHeight+18, number(v))
	}
	fmt.Fprintf(b, `<path d="M%d %dV%dH%d" fill="none" stroke="black"/>`+"\n", plotLeft, top, top+panelHeight, plotWidth-plotRight)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">time in %s</text>`+"\n", plotLeft+width/2, top+panelHeight+34, unit)
	fmt.Fprintf(b, `<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", top+panelHeight/2, p.title)
	at := plotLeft
	for _, l := range p.lines {
		const letter, swatch = 7, 30
		fmt.Fprintf(b, `<path d="M%d %dh20" stroke="%s" stroke-width="3"/><text x="%d" y="%d">%s</text>`+"\n",
			at, top-12, l.color, at+26, top-8, l.title)
		at += swatch + letter*len(l.title) + 20
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", l.color, s.points(l.name, p.unit, x, y))
	}
}

// points are those of a line.
func (s *soak) points(name string, unit float64, x, y func(float64) float64) string {
	var b strings.Builder
	each := (len(s.samples) + mostPoints - 1) / mostPoints
	for i := 0; i < len(s.samples); i += each {
		some := s.samples[i:min(i+each, len(s.samples))]
		var v float64
		var at time.Duration
		for _, sample := range some {
			v += sample.figures[name] / unit
			at += sample.at
		}
		n := len(some)
		fmt.Fprintf(&b, "%.1f,%.1f ", x(at.Seconds()/float64(n)), y(v/float64(n)))
	}
	return strings.TrimSpace(b.String())
}

// step is a round number of which some fit into a span.
func step(span float64) float64 {
	const marks = 8
	if span <= 0 {
		return 1
	}
	tens := math.Pow(10, math.Floor(math.Log10(span/marks)))
	for _, m := range []float64{1, 2, 5} {
		if m*tens*marks >= span {
			return m * tens
		}
	}
	return 10 * tens
}

func number(v float64) string { return fmt.Sprint(math.Round(v*1000) / 1000) }
