// Soak has clients come and go for a long time and sees whether anything is left of them:
//
//	go run ./internal/e2e/soak -for 30m -clients 5000 -plot soak.svg
//
// The server is a process of its own, the profile soak of internal/e2e/conformance. Its clients are those of internal/e2e/crowd: as
// many as -clients at a time, each of which stays for a while, of any transport and protocol, well-behaved or not, and is followed
// by another one. The well-behaved ones find out whether something was lost or came twice.
//
// All of them come twice: for -warm first, so that what is made once and kept is there (the runtime keeps what it needs for as many
// goroutines as there were at most, maps stay as large as they were), and then for the time that counts. After both they leave, and
// what the server has then is compared: with what it had before there was any client, and with what it had after the first time.
// Each second in between it is asked what there is and what it uses, memory after a collection.
//
// It passes if
//
//   - no well-behaved client has missed anything;
//   - at the end there are as many sessions, sockets, goroutines and file descriptors as before there were clients, but for one
//     goroutine and one descriptor, the poller's, which is made with the first connection and stays;
//   - the heap is at most -kept larger than after the first time;
//   - sessions, goroutines, file descriptors, the heap and the resident memory are flat: the line that fits the second half of the
//     time best rises by at most -drift of their mean there.
//
// What was measured is printed, and drawn as SVG to -plot. The seed is printed: with the same one, or PERCH_SOAK_SEED, each client
// is again what it was, though not at the same moment. The exit status is 1 if it does not pass.
package main
