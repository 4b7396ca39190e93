package e2e

import (
	"encoding/json"
	"testing"
)

var (
	clients = []string{"4.8.4", "3.1.3", "2.5.0"}
	ways    = []string{"polling", "websocket", "upgrade"}
)

// leastBehaviours is what a cell of the matrix has to have: a file that registers fewer tests would pass them all.
const leastBehaviours = 100

// TestClients is the matrix of clients and transports. Its subtests are named client/transport/behaviour, which
// runtests makes a table of.
func TestClients(t *testing.T) {
	doomed := map[string]string{} // each cell has a server that it shuts down
	for _, client := range clients {
		for _, way := range ways {
			doomed[client+" "+way] = startLab(t)
		}
	}
	urls, err := json.Marshal(doomed)
	if err != nil {
		t.Fatal(err)
	}
	ran := suite(t, "clients.test.mjs", map[string]string{
		"PERCH_CLIENT_URL":  start(t, conformance, "-profile", "client", "-addr", anyPort),
		"PERCH_LAB_URL":     startLab(t),
		"PERCH_DOOMED_URLS": string(urls),
	})
	cells := map[[2]string]int{}
	for _, path := range ran {
		if len(path) == 3 {
			cells[[2]string(path[:2])]++
		}
	}
	for _, client := range clients {
		for _, way := range ways {
			if n := cells[[2]string{client, way}]; n < leastBehaviours {
				t.Errorf("socket.io-client %s over %s: %d behaviours, want at least %d", client, way, n, leastBehaviours)
			}
		}
	}
}
