package bench

import (
	"fmt"
	"syscall"
)

// EnoughFiles says what to raise if a process that this one starts may not have so many connections.
func EnoughFiles(connections int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("the limit of file descriptors: %w", err)
	}
	const others = 64 // its own
	if want := uint64(connections + others); want > limit.Max {
		return fmt.Errorf("%d connections want %d file descriptors and a process may have %d: raise the hard limit, "+
			"by root's ulimit -Hn %[2]d in the shell that starts this, or LimitNOFILE= of its systemd unit, or nofile in /etc/security/limits.conf",
			connections, want, limit.Max)
	}
	return nil
}
