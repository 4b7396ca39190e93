package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// table prints one in Markdown.
func table(out io.Writer, head []string, rows [][]string) {
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, row := range rows {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(out)
}

// with writes a figure with its unit, and bench.None for one that was not measured.
func with(v float64, unit string, format func(float64) string) string {
	if v != v {
		return bench.None
	}
	return format(v) + unit
}

func decimals(n int) func(float64) string {
	return func(v float64) string { return strconv.FormatFloat(v, 'f', n, 64) }
}

func perSecond(v float64) string { return with(v, " /s", bench.Figure) }
func inBytes(v float64) string   { return with(v, " B", bench.Figure) }
func micros(v float64) string    { return with(v, " µs", decimals(1)) }
func millis(us float64) string   { return with(us/1e3, " ms", decimals(2)) }
