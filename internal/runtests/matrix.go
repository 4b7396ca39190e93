package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// matrixTest is the test whose subtests are named client/transport/behaviour.
const matrixTest = "TestClients"

// matrix counts behaviours by client and transport, the cells in the order of their first test. It is not safe for
// concurrent use.
type matrix struct {
	cells []*cell
}

type cell struct {
	client, transport string
	tried, passed     int
}

// add counts one test if it is a behaviour.
func (m *matrix) add(test string, passed bool) {
	path := strings.SplitN(test, "/", 4)
	if len(path) < 4 || path[0] != matrixTest {
		return
	}
	c := m.cell(path[1], path[2])
	c.tried++
	if passed {
		c.passed++
	}
}

func (m *matrix) cell(client, transport string) *cell {
	for _, c := range m.cells {
		if c.client == client && c.transport == transport {
			return c
		}
	}
	c := &cell{client: client, transport: transport}
	m.cells = append(m.cells, c)
	return c
}

// write shows the table, if there is one.
func (m *matrix) write(out io.Writer) {
	if len(m.cells) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nJavaScript client\ttransport\ttried\tpassed\t")
	for _, c := range m.cells {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t\n", c.client, c.transport, c.tried, c.passed)
	}
	_ = w.Flush()
}
