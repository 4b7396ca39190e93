package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// matrices are the tests whose subtests are named peer/transport/behaviour, and what their peers are.
var matrices = []struct{ test, peers string }{
	{"TestClients", "JavaScript client"},
	{"TestGoClient", "server of the Go client"},
}

// matrix counts behaviours by test, peer and transport, the cells in the order of their first test. It is not safe for
// concurrent use.
type matrix struct {
	cells []*cell
}

type cell struct {
	test, peer, transport string
	tried, passed         int
}

// add counts one test if it is a behaviour.
func (m *matrix) add(test string, passed bool) {
	path := strings.SplitN(test, "/", 4)
	if len(path) < 4 {
		return
	}
	for _, known := range matrices {
		if path[0] == known.test {
			m.count(m.cell(path[0], strings.ReplaceAll(path[1], "_", " "), path[2]), passed)
		}
	}
}

func (m *matrix) count(c *cell, passed bool) {
	c.tried++
	if passed {
		c.passed++
	}
}

func (m *matrix) cell(test, peer, transport string) *cell {
	for _, c := range m.cells {
		if c.test == test && c.peer == peer && c.transport == transport {
			return c
		}
	}
	c := &cell{test: test, peer: peer, transport: transport}
	m.cells = append(m.cells, c)
	return c
}

// write shows a table of each test that ran.
func (m *matrix) write(out io.Writer) {
	for _, known := range matrices {
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
		rows := 0
		for _, c := range m.cells {
			if c.test != known.test {
				continue
			}
			if rows++; rows == 1 {
				fmt.Fprintf(w, "\n%s\ttransport\ttried\tpassed\t\n", known.peers)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t\n", c.peer, c.transport, c.tried, c.passed)
		}
		_ = w.Flush()
	}
}
