package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// incrementers is the number of clients that increment one number, each by reading it and replacing what it read.
const incrementers = 100

// floorIncrement does the same with raw etcd, over gRPC with TLS: get, compare-and-put.
func floorIncrement(b *bench) (measurement, error) {
	c, err := b.floorEtcd()
	if err != nil {
		return measurement{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	key := fmt.Sprintf("/storm/%d", made.Add(1))
	text := strings.Repeat("x", 250)
	return drive(b.floor, incrementers, b.length, func(int) error {
		for {
			got, err := c.Get(ctx, key)
			if err != nil {
				return err
			}
			n, rev := 0, int64(0)
			if len(got.Kvs) > 0 {
				rev = got.Kvs[0].ModRevision
				n, _ = strconv.Atoi(strings.TrimLeft(string(got.Kvs[0].Value), "x"))
			}
			res, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", rev)).Then(clientv3.OpPut(key, text+strconv.Itoa(n+1))).Commit()
			if err != nil || res.Succeeded {
				return err
			}
		}
	})
}

// casIncrement makes 100 clients increment one number with GET and PUT, and checks the sum.
func casIncrement(b *bench) (measurement, error) {
	name := fmt.Sprintf("storm-%d", made.Add(1))
	path := "/api/v1/namespaces/default/configmaps"
	body := fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q},"data":{"n":"0"}}`, name)
	if _, err := b.pool[0].want(201, &request{method: "POST", path: path, contentType: "application/json", body: body}); err != nil {
		return measurement{}, err
	}
	path += "/" + name
	var conflicts atomic.Int64
	m, err := drive(b.plane, incrementers, b.length, func(i int) error {
		c := b.pool[i%len(b.pool)]
		for {
			res, err := c.want(200, &request{method: "GET", path: path, keep: true})
			if err != nil {
				return err
			}
			n, err := numberIn(res.body)
			if err != nil {
				return err
			}
			next := bytes.Replace(res.body, fmt.Appendf(nil, `"n":"%d"`, n), fmt.Appendf(nil, `"n":"%d"`, n+1), 1)
			res, err = c.do(&request{method: "PUT", path: path, contentType: "application/json", body: next})
			switch {
			case err != nil:
				return err
			case res.status == 409:
				conflicts.Add(1)
				continue
			case res.status != 200:
				return fmt.Errorf("status %d: %s", res.status, res.body)
			}
			return nil
		}
	})
	if err != nil {
		return m, err
	}
	res, err := b.pool[0].want(200, &request{method: "GET", path: path, keep: true})
	if err != nil {
		return m, err
	}
	if n, err := numberIn(res.body); err != nil || n != m.ops {
		return m, fmt.Errorf("%d increments made %d: %v", m.ops, n, err)
	}
	m.note = fmt.Sprintf("sum exact, %.1f conflicts each", float64(conflicts.Load())/float64(m.ops))
	return m, nil
}

func numberIn(body []byte) (int, error) {
	_, rest, _ := strings.Cut(string(body), `"n":"`)
	text, _, _ := strings.Cut(rest, `"`)
	return strconv.Atoi(text)
}
