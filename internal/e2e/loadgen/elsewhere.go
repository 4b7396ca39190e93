//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "loadgen: it is made of epoll, so run it on Linux")
	os.Exit(1)
}
