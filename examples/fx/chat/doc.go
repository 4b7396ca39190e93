// Package chat is a module with a gateway, which others may have injected, and the history
// that the gateway has injected.
package chat
