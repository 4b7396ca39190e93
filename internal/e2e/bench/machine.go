package bench

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Pinned is a command on a core of its own, where the system can do that and has one to spare. What it complains of goes to
// standard error.
func Pinned(ctx context.Context, core int, name string, args ...string) *exec.Cmd {
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		name, args = taskset, append([]string{"-c", strconv.Itoa(core), name}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// Quiet is a value: what is done so that others disturb no measurement. It knows of others on Linux only.
type Quiet struct {
	// Wait is how long to wait for others to leave the machine alone, before each measurement. Zero does not wait.
	Wait time.Duration
	// Again is how often a measurement is made again that others have disturbed. Zero takes it as it is.
	Again int
	// Own is the CPU time, in seconds, of processes that run all the time and are no others. Nil: there are none.
	Own func(context.Context) (float64, error)

	machine func() usage // for tests
}

// disturbed is the share of the machine that others may have while something is measured.
const disturbed = 0.05

// Undisturbed measures until others have left the machine alone meanwhile, or as often as allowed; then it takes the result that
// they have disturbed least. measure tells how much CPU time it has used in all, beside q.Own; others is the share of the
// machine that somebody else has used.
func Undisturbed[R any](ctx context.Context, q Quiet, measure func(context.Context) (result R, cpu float64, err error)) (best R, others float64, err error) {
	for i := range q.Again + 1 {
		if err := q.await(ctx); err != nil {
			return best, others, err
		}
		before, err := q.usage(ctx)
		if err != nil {
			return best, others, err
		}
		r, own, err := measure(ctx)
		if err != nil {
			return best, others, err
		}
		after, err := q.usage(ctx)
		if err != nil {
			return best, others, err
		}
		share := after.others(before, own)
		if i == 0 || share < others {
			best, others = r, share
		}
		if others <= disturbed {
			break
		}
	}
	return best, others, nil
}

// await waits until nobody has used the machine for a second, but not too long.
func (q Quiet) await(ctx context.Context) error {
	for end := time.Now().Add(q.Wait); time.Now().Before(end); {
		before, err := q.usage(ctx)
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := q.usage(ctx)
		if err != nil || after.others(before, 0) <= disturbed {
			return err
		}
	}
	return nil
}

// usage is the time of all cores so far, in seconds: all of it, and what others have used.
type usage struct{ all, busy float64 }

// others is the share that they have had since before, without own.
func (u usage) others(before usage, own float64) float64 {
	if u.all <= before.all {
		return 0 // too short to tell
	}
	return max(0, (u.busy-before.busy-own)/(u.all-before.all))
}

func (q Quiet) usage(ctx context.Context) (u usage, err error) {
	if q.machine != nil {
		u = q.machine()
	} else {
		u = machine()
	}
	if q.Own == nil {
		return u, nil
	}
	own, err := q.Own(ctx)
	u.busy -= own
	return u, err
}

// machine is what all processes have used. Where it is not to be had, which is not on Linux, that is nothing.
func machine() (u usage) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(line) {
		const user, idle, iowait, steal, perSecond = 1, 4, 5, 8, 100
		ticks, _ := strconv.ParseFloat(field, 64)
		if i < user || i > steal {
			continue
		}
		u.all += ticks / perSecond
		if i != idle && i != iowait {
			u.busy += ticks / perSecond
		}
	}
	return u
}
