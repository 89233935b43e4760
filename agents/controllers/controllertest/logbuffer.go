package controllertest

import (
	"bytes"
	"strings"
	"sync"
)

// LogBuffer keeps what is logged.
type LogBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// Lines are the lines with every one of parts.
func (b *LogBuffer) Lines(parts ...string) (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.text.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			out = append(out, line)
		}
	}
	return out
}
