package perch

import "net"

// SetListen replaces how an app opens ports, so that tests need none in particular.
func (a *App) SetListen(listen func(network, address string) (net.Listener, error)) {
	a.listen = listen
}
