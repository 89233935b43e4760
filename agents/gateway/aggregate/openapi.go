package aggregate

import (
	"context"
	"fmt"
	"net/http"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema/openapi"
)

// openAPIOf asks a server for how it describes its version of a group. tag is the ETag of its Swagger document. What it does not have is missing.
func (a *Aggregator) openAPIOf(ctx context.Context, s *Service) (e openapi.Extension, tag string, err error) {
	gv := kschema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}
	index, err := a.get(ctx, s, "/openapi/v3", "")
	if err != nil {
		return e, "", err
	}
	if index.Code == http.StatusOK {
		if e.V3, err = openapi.IndexOf(index.Body, gv); err != nil {
			return e, "", err
		}
	}
	swagger, err := a.get(ctx, s, "/openapi/v2", s.tag)
	switch {
	case err != nil:
		return e, "", err
	case swagger.Code == http.StatusNotModified:
		e.V2 = s.OpenAPI.V2
	case swagger.Code == http.StatusOK:
		if e.V2, err = openapi.PartOf(swagger.Body, gv); err != nil {
			a.cfg.Log.Warn("description of API service not understood", "name", s.Name, "err", err)
		}
	case swagger.Code != http.StatusNotFound:
		return e, "", fmt.Errorf("asking for /openapi/v2 of API service %s: it answers %d", s.Name, swagger.Code)
	}
	if index.Code != http.StatusNotFound || e.V2 == nil {
		return e, swagger.ETag, nil
	}
	if e.Converted, err = openapi.ConvertPart(e.V2); err != nil {
		return e, "", err
	}
	e.V3 = map[string]string{"apis/" + gv.String(): openapi.Hash(e.Converted)}
	return e, swagger.ETag, nil
}

// described records how a server describes its resources, as found does what it serves.
func (a *Aggregator) described(asked *Service, e openapi.Extension, tag string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.services[asked.Name]
	if !ok || s.UID != asked.UID {
		return
	}
	same := s.OpenAPI.Equal(e)
	s.OpenAPI, s.tag = e, tag
	a.services[asked.Name] = s
	if !same {
		a.publish()
	}
}
