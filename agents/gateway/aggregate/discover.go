package aggregate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/safely"
)

const (
	// rediscover is after how long servers are asked again for what they serve, as Kubernetes does.
	rediscover = time.Minute
	// discoverTimeout is how long one may take to answer.
	discoverTimeout = 5 * time.Second
)

// discover asks extension servers for their resources after a change, and again and again, until ctx is done.
func (a *Aggregator) discover(ctx context.Context) {
	again := time.NewTicker(rediscover)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-again.C:
		}
		var all sync.WaitGroup
		for _, s := range a.Now().All() {
			all.Go(func() {
				var rows []metav1.APIResource
				err := safely.Call(func() (err error) {
					rows, err = a.resourcesOf(ctx, s)
					return err
				})
				if ctx.Err() == nil {
					a.found(s, rows, err)
				}
			})
		}
		all.Wait()
	}
}

// resourcesOf asks a server for the resources of its version of a group.
func (a *Aggregator) resourcesOf(ctx context.Context, s *Service) ([]metav1.APIResource, error) {
	if !s.Available() {
		return nil, fmt.Errorf("API service %s is not available", s.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	all, err := a.endpoints(ctx, s.Spec.Service)
	if err != nil {
		return nil, err
	}
	data, err := a.client.Get(ctx, &s.Spec, all[rand.N(len(all))], "/apis/"+s.Spec.Group+"/"+s.Spec.Version)
	if err != nil {
		return nil, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(data, &list); err != nil {
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
