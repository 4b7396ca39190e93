package perchfx

// Break ends the listener without being asked to.
func (s *Server) Break() error { return (*s.listener.Load()).Close() }
