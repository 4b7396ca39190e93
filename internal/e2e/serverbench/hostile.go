package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// The honest clients: so many, and so many events due per second on all of them.
const (
	honestClients = 100
	honestRate    = 300
	// worse is by how much their times may be worse than undisturbed.
	worse = 3
)

// disturbedBy is what became of the honest clients under one attack, and of those of another server while the CPU time that the
// attack takes is used for nothing.
type disturbedBy struct {
	attack
	assaulted
	calm, attacked map[string]any
}

func (d disturbedBy) ratio() float64 {
	return figureOf(d.attacked, "p99_us") / figureOf(d.calm, "p99_us")
}

func figureOf(figures map[string]any, name string) float64 { v, _ := figures[name].(float64); return v }

// lost are events that were not answered.
func (d disturbedBy) lost() float64 {
	return figureOf(d.attacked, "unanswered") + figureOf(d.attacked, "dead")
}

// hostile puts a server under one attack after the other while honest clients use it, and compares how long their events take with
// those of a server that nobody disturbs. Each event is due at a fixed rate, and so is each hostile client.
func (r *runner) hostile(ctx context.Context) error {
	const mostAtOnce = 10_000
	if err := bench.EnoughFiles(mostAtOnce); err != nil {
		return err
	}
	for _, s := range r.servers {
		if s.mode != "sio" {
			return fmt.Errorf("-measure hostile is only for servers of Socket.IO, not for %s", s)
		}
		if err := r.hostileTo(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (r *runner) hostileTo(ctx context.Context, s server) (err error) {
	var running [2]*process
	for i := range running {
		if running[i], err = s.start(ctx, r.places); err != nil {
			return err
		}
		defer running[i].stop()
	}
	attacked, undisturbed := running[0], running[1]
	quiet := bench.Quiet{Wait: r.wait, Again: r.again, Own: func(context.Context) (float64, error) {
		return bench.CPUTime(attacked.cmd.Process.Pid) + bench.CPUTime(undisturbed.cmd.Process.Pid), nil
	}}
	fmt.Fprintf(r.out, "%s: %s\n\n", s, strings.Join(s.command, " "))
	var all []disturbedBy
	for _, a := range attacks {
		d, others, err := bench.Undisturbed(ctx, quiet, func(ctx context.Context) (disturbedBy, float64, error) {
			return r.under(ctx, s, a, attacked, undisturbed)
		})
		if err != nil {
			return fmt.Errorf("%s: %w\nthe server said: %s", a, err, tail(attacked.complaints.Bytes()))
		}
		all = append(all, d)
		fmt.Fprintf(os.Stderr, "%s: %.2f times, %.0f %% of the machine by others\n", a, d.ratio(), others*100)
		if err := json.NewEncoder(r.record).Encode(map[string]any{
			"attack": a.Name, "assault": d.assaulted, "calm": d.calm, "attacked": d.attacked, "others": others,
		}); err != nil {
			return err
		}
	}
	r.hostileTable(all)
	lines := bytes.Count(attacked.complaints.Bytes(), []byte{'\n'})
	fmt.Fprintf(r.out, "The server logged %d lines.\n", lines)
	return r.judge(all)
}

// under is one attack and the calm that it is compared with.
func (r *runner) under(ctx context.Context, s server, a attack, attacked, undisturbed *process) (d disturbedBy, cpu float64, err error) {
	d.attack = a
	do := a.of(r.connectionsOf(), r.time, attacked.addr)
	var own, idle float64
	if d.attacked, d.assaulted, own, err = r.honest(ctx, s, attacked, do); err != nil {
		return d, 0, err
	}
	// The calm has no clients to count: half of the time is enough.
	do.idle, do.count = max(time.Duration(d.CPU/float64(do.count)*float64(time.Second)), 1), do.count/2
	d.calm, _, idle, err = r.honest(ctx, s, undisturbed, do)
	return d, own + idle, err
}

// connectionsOf are those of each attack.
func (p *plan) connectionsOf() int { return (p.enemies + len(attacks) - 1) / len(attacks) }

// honest has the generator, which goes first, use a server while it is attacked. It returns the CPU time of both generators, too.
func (r *runner) honest(ctx context.Context, s server, running *process, a assault) (figures map[string]any, said assaulted, cpu float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.time+patience)
	defer cancel()
	enemy := r.ranked(ctx, s, "10", r.places["serverbench"], a.arguments()...)
	var out, complaints bytes.Buffer
	enemy.Stdout, enemy.Stderr = &out, &complaints
	if err := enemy.Start(); err != nil {
		return nil, said, 0, err
	}
	defer func() {
		cancel() // it has ended, unless something went wrong
		_ = enemy.Wait()
	}()

	const edges = 3 // of the time: until it is under way, and connecting, and what is left
	lasting := time.Duration(float64(a.count) / a.rate * float64(time.Second))
	what := scenario{flags: fmt.Sprintf("-scenario echo -w 16 -rate %d", honestRate), connections: honestClients}
	measured := *r.plan
	measured.time = lasting - lasting/edges
	measured.warm = lasting / (2 * edges)
	honest := r.ranked(ctx, s, "-5", r.places["loadgen"], measured.generator(what, s.mode, running.addr, running.cmd.Process.Pid)...)
	figures, cpu, err = generated(honest)
	if err != nil {
		return nil, said, 0, err
	}
	if err := enemy.Wait(); err != nil {
		return nil, said, 0, fmt.Errorf("the attack: %w: %s", err, complaints.Bytes())
	}
	err = json.Unmarshal(out.Bytes(), &said)
	return figures, said, cpu + cpuTime(enemy), err
}

// ranked is a command on the generators' core, before or behind others there. Without the right to be before others it is as all.
func (r *runner) ranked(ctx context.Context, s server, niceness, name string, args ...string) *exec.Cmd {
	if nice, err := exec.LookPath("nice"); err == nil {
		name, args = nice, append([]string{"-n", niceness, name}, args...)
	}
	return s.pinned(ctx, 1, name, args...)
}

func (r *runner) hostileTable(all []disturbedBy) {
	var rows [][]string
	for _, d := range all {
		rate := float64(d.Connections) / d.Seconds
		times := func(figures map[string]any) string {
			return millis(figureOf(figures, "p50_us")) + ", " + millis(figureOf(figures, "p99_us")) + ", " + millis(figureOf(figures, "max_us"))
		}
		rows = append(rows, []string{
			d.Name, bench.Figure(float64(d.Connections)), perSecond(rate), bench.Figure(float64(d.Most)),
			percent(figureOf(d.attacked, "server_cpu")), percent(d.CPU / d.Seconds),
			times(d.calm), times(d.attacked), bench.Ratio(figureOf(d.attacked, "p99_us"), figureOf(d.calm, "p99_us")),
			fmt.Sprint(d.lost()),
		})
	}
	table(r.out, []string{
		fmt.Sprintf("%d honest clients, %d events a second, while there are", honestClients, honestRate), "hostile connections", "rate", "at once",
		"CPU of the server", "of the attack", "undisturbed: median, 99 %, longest", "under attack", "times the 99 %", "lost",
	}, rows)
}

func percent(v float64) string { return with(v*100, " %", decimals(0)) }

// judge says what was not reached.
func (r *runner) judge(all []disturbedBy) error {
	var errs []error
	var connections uint64
	for _, d := range all {
		connections += d.Connections
		if !(d.ratio() < worse) {
			errs = append(errs, fmt.Errorf("%s: the time of 99 %% of the honest events is %.1f times the undisturbed one, want less than %d", d, d.ratio(), worse))
		}
		if d.lost() > 0 {
			errs = append(errs, fmt.Errorf("%s: %v honest events were lost", d, d.lost()))
		}
	}
	if connections < uint64(r.enemies) {
		errs = append(errs, fmt.Errorf("there were only %d hostile connections, want %d", connections, r.enemies))
	}
	return errors.Join(errs...)
}

// tail is the end of what somebody says.
func tail(b []byte) []byte {
	const most = 4 << 10
	return b[max(0, len(b)-most):]
}
