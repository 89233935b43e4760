package aggregate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/extensionclient"
	"gantry/registry/safely"
)

const (
	// rediscover is after how long servers are asked again for what they serve, as Kubernetes does.
	rediscover = time.Minute
	// discoverTimeout is how long one may take to answer.
	discoverTimeout = 5 * time.Second
)

// discover asks extension servers for what they serve after a change, and again and again, until ctx is done. Each is asked once at a time, and none
// waits for another.
func (a *Aggregator) discover(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	again := time.NewTicker(rediscover)
	defer again.Stop()
	busy := map[string]bool{} // guarded by a.mu
	for {
		var all []*Service
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-again.C:
			all = a.Now().All()
		}
		for _, s := range a.begin(busy, all) {
			asking.Go(func() {
				err := safely.Call(func() error { return a.ask(ctx, s) })
				if err != nil && ctx.Err() == nil {
					a.cfg.Log.Warn("extension server not understood", "name", s.Name, "err", err)
				}
				a.mu.Lock()
				defer a.mu.Unlock()
				delete(busy, s.Name)
				a.signal() // it may have changed meanwhile
			})
		}
	}
}

// begin returns the API services whose servers are to be asked: those that have changed, and also, but for those in busy, which it adds to.
func (a *Aggregator) begin(busy map[string]bool, also []*Service) (out []*Service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range also {
		a.toAsk[s.Name] = true
	}
	for name := range a.toAsk {
		if busy[name] {
			continue
		}
		delete(a.toAsk, name)
		if s, ok := a.services[name]; ok {
			busy[name] = true
			out = append(out, &s)
		}
	}
	return out
}

// ask asks a server for what it serves and, where it answers, how it describes that.
func (a *Aggregator) ask(ctx context.Context, s *Service) error {
	rows, err := a.resourcesOf(ctx, s)
	if ctx.Err() != nil {
		return nil
	}
	a.found(s, rows, err)
	if err != nil {
		return nil
	}
	described, tag, err := a.openAPIOf(ctx, s)
	if err != nil {
		return err
	}
	a.described(s, described, tag)
	return nil
}

// get asks one of a service's endpoints for a document.
func (a *Aggregator) get(ctx context.Context, s *Service, path, etag string) (extensionclient.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	all, err := a.endpoints(ctx, s.Spec.Service)
	if err != nil {
		return extensionclient.Answer{}, err
	}
	return a.client.GetChanged(ctx, &s.Spec, all[rand.N(len(all))], path, etag)
}

// resourcesOf asks a server for the resources of its version of a group.
func (a *Aggregator) resourcesOf(ctx context.Context, s *Service) ([]metav1.APIResource, error) {
	if !s.Available() {
		return nil, fmt.Errorf("API service %s is not available", s.Name)
	}
	answer, err := a.get(ctx, s, "/apis/"+s.Spec.Group+"/"+s.Spec.Version, "")
	if err != nil {
		return nil, err
	}
	if answer.Code != http.StatusOK {
		return nil, fmt.Errorf("asking for the resources of API service %s: it answers %d", s.Name, answer.Code)
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(answer.Body, &list); err != nil {
		return nil, fmt.Errorf("reading the resources of API service %s: %w", s.Name, err)
	}
	rows := list.APIResources[:0]
	for _, row := range list.APIResources {
		if row.Name != "" && row.Kind != "" && !strings.HasPrefix(row.Name, "/") {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// found records what a server has answered. Where it has not, the resources stay as they were.
func (a *Aggregator) found(asked *Service, rows []metav1.APIResource, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.services[asked.Name]
	if !ok || s.UID != asked.UID {
		return
	}
	if err != nil {
		if !s.Found {
			return
		}
		a.cfg.Log.Warn("resources of API service not found", "name", s.Name, "err", err)
		rows = s.Resources
	}
	if s.Found == (err == nil) && reflect.DeepEqual(s.Resources, rows) {
		return
	}
	s.Resources, s.Found = rows, err == nil
	a.services[asked.Name] = s
	a.publish()
}
