// Package adaptertest is the contract of package adapter as a test.
//
// An implementation calls [Run] in a test of its own and says how its nodes are joined. What is tested are behaviours that
// namespaces and their users rely on, by fakes of both: a host on each node and members that record what they get and answer as
// they are told. Whatever an adapter is made of, and however unreliable that is, as long as nothing is lost every one of the
// tests has to pass.
package adaptertest
