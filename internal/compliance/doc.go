// Package compliance shows that the server keeps to RFC 6455 and RFC 7692. Its tests are a port, in
// words of our own, of the case list of the Autobahn test suite, numbered as there, against the server's
// real connections; docs/compliance.md has the result, and a test holds it to that. Command autobahn
// beside it runs the suite itself where that can be installed.
package compliance
