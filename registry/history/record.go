package history

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"time"
)

// Record is the user who wrote a value, and when.
type Record struct {
	User string    `json:"user"`
	Time time.Time `json:"time"`
	// After is the revision that was replaced; 0: none.
	After int64 `json:"after,omitempty"`
}

// Deletion is the value of DeletedKey.
type Deletion struct {
	Key string `json:"key"`
	Record
}

// Encode is the value as it is stored.
func (d Deletion) Encode() []byte {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // cannot happen: strings, numbers and a time
	}
	return text
}

// DeletedKey holds the record of the last deletion of all. Its own history is the list of deletions.
const DeletedKey = "/gantry/deleted"

// lastTime is the time of the last record of this process, in ns since 1970.
var lastTime atomic.Int64

// Now is the current time, but later than every earlier result in this process: no two of its records are equal, so a write can be
// identified by its record.
func Now() time.Time {
	for {
		last := lastTime.Load()
		now := max(time.Now().UnixNano(), last+1)
		if lastTime.CompareAndSwap(last, now) {
			return time.Unix(0, now).UTC()
		}
	}
}

// recordMark begins a record. Within a string of a JSON text its quotes would be escaped.
const recordMark = `,"$by":{`

// Append is an object's value with its record. Every write calls it.
func Append(value []byte, r Record) []byte {
	user, err := json.Marshal(r.User)
	if err != nil || len(value) < 3 {
		return value // cannot happen
	}
	out := make([]byte, 0, len(value)+len(user)+96)
	out = append(out, value[:len(value)-1]...)
	out = append(out, recordMark...)
	out = append(out, `"user":`...)
	out = append(out, user...)
	out = append(out, `,"time":"`...)
	out = r.Time.AppendFormat(out, time.RFC3339Nano)
	out = append(out, '"')
	if r.After != 0 {
		out = append(out, `,"after":`...)
		out = strconv.AppendInt(out, r.After, 10)
	}
	return append(out, "}}"...)
}

// Strip is a value without the record that Append gave it; any other value as it is. What it returns shares value's bytes only where nothing was
// removed.
func Strip(value []byte) []byte {
	at := bytes.LastIndex(value, []byte(recordMark))
	if at < 0 || !bytes.HasSuffix(value, []byte("}}")) {
		return value
	}
	if bytes.ContainsAny(value[at+len(recordMark):len(value)-2], "{}") {
		return value // within the value and not at its end: not a record
	}
	out := make([]byte, at+1)
	copy(out, value[:at])
	out[at] = '}'
	return out
}

// RecordIn reads the record of a value, where it is the one that replaced revision before: a copied record is none.
func RecordIn(value []byte, before int64) (Record, bool) {
	var v struct {
		By *Record `json:"$by"`
	}
	if json.Unmarshal(value, &v) != nil || v.By == nil || v.By.User == "" || v.By.Time.IsZero() || v.By.After != before {
		return Record{}, false
	}
	return *v.By, true
}
