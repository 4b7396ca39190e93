package compliance

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is one case. Its number is that of the suite's list.
type scene struct {
	id, title string
	// offer is the Sec-WebSocket-Extensions header of the handshake.
	offer string
	// large is played on two ways only, which together have all four parts.
	large bool
	play  func(c *client)
}

// section is the first part of a case's number.
func (s scene) section() int {
	n, _ := strconv.Atoi(s.id[:strings.IndexByte(s.id, '.')]) // the parts of the list begin with numbers
	return n
}

func allScenes() []scene {
	return slices.Concat(framing(), pings(), reservedBits(), reservedOpcodes(), fragmentation(),
		unicode(), closings(), limits(), contents(), parameters())
}

// way is how a case goes to the server.
type way struct {
	memory bool // by a connection in memory, not by loopback
	octets bool // octet by octet, not in whole frames
}

func (w way) String() string {
	return fmt.Sprintf("memory %v, octet by octet %v", w.memory, w.octets)
}

var ways, waysOfLarge = []way{{false, false}, {false, true}, {true, false}, {true, true}}, []way{{false, true}, {true, false}}

// dialers serves an echo by loopback and in memory, and returns how to reach it.
func dialers(t *testing.T) map[bool]func() (net.Conn, error) {
	t.Helper()
	server, handler, err := Echo(true)
	if err != nil {
		t.Fatal(err)
	}
	memory := stream.NewListener()
	loopback, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	httpServer := &http.Server{Handler: handler}
	var serving sync.WaitGroup
	for _, l := range []net.Listener{memory, loopback} {
		serving.Go(func() { _ = httpServer.Serve(l) })
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		_ = httpServer.Close()
		serving.Wait()
	})
	return map[bool]func() (net.Conn, error){
		true:  func() (net.Conn, error) { return memory.Dial() },
		false: func() (net.Conn, error) { return net.Dial("tcp", loopback.Addr().String()) },
	}
}

var update = flag.Bool("update", false, "rewrite the table of docs/compliance.md")

const document = "../../docs/compliance.md"

// Every case of the list, on every way; and the document says how many there are, and agrees with what the suite
// itself has said.
func TestCases(t *testing.T) {
	t.Parallel()
	dial := dialers(t)
	scenes := allScenes()
	var mu sync.Mutex
	passed := map[int]int{}
	ran := 0
	t.Run("case", func(t *testing.T) {
		for _, s := range scenes {
			t.Run(s.id+" "+s.title, func(t *testing.T) {
				t.Parallel()
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					ran++
					if !t.Failed() {
						passed[s.section()]++
					}
				}()
				played := ways
				if s.large {
					played = waysOfLarge
				}
				for _, w := range played {
					s.on(t, w, dial[w.memory])
				}
			})
		}
	})
	if ran < len(scenes) {
		return // of a pattern of -run: the table is of all
	}
	table := summary(scenes, passed)
	if *update {
		if err := ReplaceTable(document, "port", table); err != nil {
			t.Fatal(err)
		}
	}
	if written, err := Table(document, "port"); err != nil || written != table {
		t.Errorf("docs/compliance.md is not what was found (go test ./internal/compliance -update): %v\n%s", err, table)
	}
}

// on plays a case on one way.
func (s scene) on(t *testing.T, w way, dial func() (net.Conn, error)) {
	t.Helper()
	c := &client{t: t, way: w, dial: dial, offer: s.offer}
	c.open()
	defer func() { _ = c.conn.Close() }()
	s.play(c)
}

// notes are what the table says beside the numbers.
var notes = map[int]string{
	2:  "every ping is answered, also of ten at once",
	3:  "strict: what came before is answered",
	4:  "strict: what came before is answered",
	5:  "strict: what came before is answered",
	6:  "strict: a text fails at the octet that makes it invalid; each sequence also in frames of one octet",
	7:  "what came before the close frame is answered, nothing after it; 5000 and 65535, which are undefined, are errors",
	9:  "what has 4 MiB and more on two ways: whole in memory, octet by octet over loopback; 20 and 100 messages for 1,000 in 9.7 and 9.8",
	12: "at most 20 messages for 1,000; contents generated",
	13: "the same; a window of 9 bits for what the server sends is declined",
}

// summary is the table of the document.
func summary(scenes []scene, passed map[int]int) string {
	cases := map[int]int{}
	for _, s := range scenes {
		cases[s.section()]++
	}
	var b strings.Builder
	b.WriteString("| Section | Cases | Passed | Notes |\n|---|---:|---:|---|\n")
	total, all := 0, 0
	for _, n := range sectionNumbers() {
		fmt.Fprintf(&b, "| %d %s | %d | %d | %s |\n", n, Sections[n], cases[n], passed[n], notes[n])
		total, all = total+cases[n], all+passed[n]
	}
	fmt.Fprintf(&b, "| | %d | %d | |\n", total, all)
	return b.String()
}

func sectionNumbers() (numbers []int) {
	for n := range Sections {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}

// The port has each number once, and as many cases in each section as the suite, whose table is in the document and has no
// failures.
func TestListIsComplete(t *testing.T) {
	t.Parallel()
	seen, count := map[string]bool{}, map[int]int{}
	for _, s := range allScenes() {
		if seen[s.id] || s.title == "" {
			t.Errorf("case %s is there twice, or has no title", s.id)
		}
		seen[s.id] = true
		count[s.section()]++
	}
	table, err := Table(document, "autobahn")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range sectionNumbers() {
		_, row, _ := strings.Cut(table, fmt.Sprintf("| %d %s |", n, Sections[n]))
		row, _, _ = strings.Cut(row, "\n")
		var cases, passed, informational, notStrict, declined, failed int
		_, err := fmt.Sscanf(row, "%d | %d | %d | %d | %d | %d |", &cases, &passed, &informational, &notStrict, &declined, &failed)
		if err != nil || cases != count[n] || passed+informational+declined != cases || notStrict+failed > 0 {
			t.Errorf("section %d has %d cases here, and in the suite's table the row %q (%v)", n, count[n], row, err)
		}
	}
}
