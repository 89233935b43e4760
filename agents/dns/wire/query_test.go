package wire

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzQuery checks that every query is read without a panic, and that a negative answer to it can be read.
func FuzzQuery(f *testing.F) {
	for _, name := range []string{"web.shop.svc.cluster.local.", "A.b.", "."} {
		msg := new(dns.Msg)
		msg.SetQuestion(name, dns.TypeA)
		msg.SetEdns0(MaxUDP, true)
		query, err := msg.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		var q Query
		code, answer := q.Parse(query)
		if !answer {
			return
		}
		var r Reply
		r.Start(&q, nil, q.Limit())
		if code == NoError {
			set := Set{Type: TypeTXT}
			set.Add([]byte{1, 'x'})
			r.Answer(&set, 0)
			r.Authority(q.Labels(), 1)
			if len(q.Key()) != len(q.Name())+3 {
				t.Errorf("key %x of name %x", q.Key(), q.Name())
			}
		}
		reply := r.Finish(code)
		var msg dns.Msg
		if err := msg.Unpack(reply); err != nil || len(reply) > MaxUDP {
			t.Errorf("query %x: %v, answer %x", query, err, reply)
		}
	})
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{"": "\x00", ".": "\x00", "A.bc.": "\x01a\x02bc\x00"} {
		if got, err := Name(text); got != want || err != nil {
			t.Errorf("Name(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"a..b", ".a", string(make([]byte, 64)), "a" + string(make([]byte, 300))} {
		if got, err := Name(text); err == nil {
			t.Errorf("Name(%q) = %q", text, got)
		}
	}
}
