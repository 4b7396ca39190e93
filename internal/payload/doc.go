// Package payload has the rules by which the arguments of an event become the one value
// of a typed handler, and the text by which a sender learns that they did not. Gateways
// and the client share them.
package payload
