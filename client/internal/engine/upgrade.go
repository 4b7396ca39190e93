package engine

// upgrade is one that the server has agreed to.
type upgrade struct{ ws *webSocket }
