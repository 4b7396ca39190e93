// Package e2e tests Perch from the outside: it starts the programs a user would
// start (the conformance server, the chat example) and talks to them with the
// official JavaScript clients of three generations in Node and with a headless
// browser.
//
// It is a module of its own and never published, so that nobody who imports the
// core sees what it needs. Its Node packages are installed by npm ci from the
// lock file beside this one and its browser is the system's Chromium; make test
// installs both, and a test that misses one fails rather than skips.
package e2e
