// Package chaos is a TCP proxy on the loopback whose connections fail as those of bad networks do, for tests of what
// stands on both of its sides.
//
// A [Proxy] forwards each connection, a [Link], to one address. A test makes links fail one by one: they are cut with or
// without a word, in the midst of a message if need be, delayed, or left half-open, so that bytes vanish and nobody is
// told. Or it lets a [Weather] do so at random, from a seed.
//
//	proxy, err := chaos.Listen(server.Addr())
//	if err != nil { … }
//	defer proxy.Close()
//	weather := chaos.Weather{Seed: seed}
//	weather.Over(ctx, proxy) // until ctx ends
package chaos
