package up

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// TestEtcdsClientLogsLikeTheProcess checks that the etcd client logs to the logger of the process, in its format.
func TestEtcdsClientLogsLikeTheProcess(t *testing.T) {
	var out bytes.Buffer
	c := Config{EtcdServers: []string{"http://127.0.0.1:1"}, Log: slog.New(slog.NewTextHandler(&out, nil))}
	client, err := c.dial()
	if err != nil {
		t.Fatal(err)
	}
	client.GetLogger().Warn("lost a member", zap.String("member", "m1"))
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if line := out.String(); !strings.Contains(line, `level=WARN msg="lost a member" agent="etcd client" member=m1`) {
		t.Errorf("logged %q", line)
	}
}
