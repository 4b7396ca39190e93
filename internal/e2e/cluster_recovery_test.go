package e2e

import (
	"testing"

	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// S-6, S-77: the official client comes back to another node of a cluster.
func TestClusterRecovery(t *testing.T) {
	broker := cluster.NewMemory(nil)
	env := make(map[string]string)
	for _, name := range []string{"PERCH_HERE_URL", "PERCH_THERE_URL"} {
		srv, err := socketio.New(socketio.Options{
			Adapter:  cluster.New(broker.Open, cluster.Options{}),
			Recovery: &socketio.Recovery{},
		})
		if err != nil {
			t.Fatal(err)
		}
		obey(srv.Of("/"))
		env[name] = listen(t, srv, srv)
	}
	suite(t, "cluster-recovery.test.mjs", env)
}
