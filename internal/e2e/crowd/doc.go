// Package crowd is clients in great numbers, of which some behave and others do not, for programs that see what a server makes of
// them: soak and serverbench.
//
// A [Kind] is a way to behave, and [Kind.Visit] one client's stay with a [Server], from its first connection to its last. Those of
// [Polite] speak each of the transports and protocols, and find out whether something was lost or came twice; those of [Rude] end
// without a word in the midst of that; those of [Hostile] do what a server has to bear: they flood, announce too much, trickle, stop
// halfway, stay silent, do not read, and talk nonsense.
//
// Visits take all their decisions from one source of random numbers, in an order that does not depend on the time, so that the same
// seed does the same.
package crowd
