package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"time"
)

// Every value that the registry writes ends in a member that no API object has, with who wrote it, when, and which
// revision of the key it replaced (0: none):
//
//	{"kind":"ConfigMap",...,"$by":{"user":"kubernetes-admin","time":"2026-01-02T15:04:05.678901234Z","after":41}}
//
// It costs some 85 bytes and no transaction; readers take it off. etcd's history of the key thus tells who and when. A value
// written by hand has none, or one that was copied with the rest: then it names another revision than the one that was
// replaced. A deletion leaves no value: its transaction says the same at /gantry/deleted, whose own history is the list
// of deletions.

// Stamp says who wrote a value and when.
type Stamp struct {
	User string    `json:"user"`
	Time time.Time `json:"time"`
	// After is the revision that was replaced; 0: none.
	After int64 `json:"after,omitempty"`
}

// deletion is the value of /gantry/deleted.
type deletion struct {
	Key string `json:"key"`
	Stamp
}

func (d deletion) text() []byte {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // cannot happen: strings, numbers and a time
	}
	return text
}

const deletedKey = "/gantry/deleted"

type writerKey struct{}

// WithWriter names the user on whose behalf a write is made; it defaults to the agent.
func WithWriter(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, writerKey{}, user)
}

// stampOf says who replaces revision after now.
func (r *Registry) stampOf(ctx context.Context, after int64) Stamp {
	user, _ := ctx.Value(writerKey{}).(string)
	if user == "" {
		user = r.cfg.Agent
		if r.cfg.Node != "" {
			user += "/" + r.cfg.Node
		}
	}
	return Stamp{User: user, Time: stampTime(), After: after}
}

// newestStamp is when the newest stamp of this process was made, in ns since 1970.
var newestStamp atomic.Int64

// stampTime is now, but later than every stamp of this process before. A write can thus be told from every other, see trace.
func stampTime() time.Time {
	for {
		newest := newestStamp.Load()
		now := max(time.Now().UnixNano(), newest+1)
		if newestStamp.CompareAndSwap(newest, now) {
			return time.Unix(0, now).UTC()
		}
	}
}

// stampMark begins a stamp. Within a string of a JSON text its quotes would be escaped.
const stampMark = `,"$by":{`

// stamped is a value, as Encode writes it, with its stamp. It is on the way of every write.
func stamped(value []byte, s Stamp) []byte {
	user, err := json.Marshal(s.User)
	if err != nil || len(value) < 3 {
		return value // cannot happen
	}
	out := make([]byte, 0, len(value)+len(user)+96)
	out = append(out, value[:len(value)-1]...)
	out = append(out, stampMark...)
	out = append(out, `"user":`...)
	out = append(out, user...)
	out = append(out, `,"time":"`...)
	out = s.Time.AppendFormat(out, time.RFC3339Nano)
	out = append(out, '"')
	if s.After != 0 {
		out = append(out, `,"after":`...)
		out = strconv.AppendInt(out, s.After, 10)
	}
	return append(out, "}}"...)
}

// unstamped is a value without the stamp that stamped gave it; any other value as it is. What it returns may be
// shared with value's bytes only where nothing was taken off.
func unstamped(value []byte) []byte {
	at := bytes.LastIndex(value, []byte(stampMark))
	if at < 0 || !bytes.HasSuffix(value, []byte("}}")) {
		return value
	}
	if bytes.ContainsAny(value[at+len(stampMark):len(value)-2], "{}") {
		return value // deeper than the end: not ours
	}
	out := make([]byte, at+1)
	copy(out, value[:at])
	out[at] = '}'
	return out
}

// stampIn reads the stamp of a value, where it is the one that replaced revision before: a copied stamp is none.
func stampIn(value []byte, before int64) (Stamp, bool) {
	var v struct {
		By *Stamp `json:"$by"`
	}
	if json.Unmarshal(value, &v) != nil || v.By == nil || v.By.User == "" || v.By.Time.IsZero() || v.By.After != before {
		return Stamp{}, false
	}
	return *v.By, true
}
