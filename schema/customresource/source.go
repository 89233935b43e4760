package customresource

import (
	"bytes"
	"fmt"
	"sync"
	"weak"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"gantry/schema"
	"gantry/schema/internal/structural"
)

// source is the schema of a version, of which what objects are checked by is made when it is needed: that takes many times the memory.
// It is kept while it is one of those that were used last.
type source struct {
	structure       *schema.Structure // nil: there is none
	size            int               // an estimate of what is made of it, in bytes
	preserveUnknown bool

	mu   sync.Mutex // guards made
	made weak.Pointer[compiled]
}

// compiled is what objects of a version are checked by.
type compiled struct {
	size       int // an estimate of what it takes with its validators, in bytes
	structural *structuralschema.Structural
	shape      *shape                      // nil: there is no structural schema
	embedded   bool                        // the schema has embedded objects
	lists      bool                        // the schema has lists that are sets or maps
	validators func() (*validators, error) // made when first called
}

// validators are what writes of a version are checked by.
type validators struct {
	object, status apiservervalidation.SchemaValidator // nil status: it has no schema
	rules          *cel.Validator                      // nil: there are no rules
}

// compiled makes what objects are checked by, or returns what was made before. The error says why the schema is no structural one.
func (s *source) compiled() (*compiled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.made.Value()
	if c == nil {
		var err error
		if c, err = s.compile(); err != nil {
			return nil, err
		}
		s.made = weak.Make(c)
	}
	recent.keep(c)
	return c, nil
}

func (s *source) compile() (*compiled, error) {
	c := &compiled{size: s.size}
	if s.structure == nil {
		c.validators = func() (*validators, error) { return &validators{}, nil }
		return c, nil
	}
	props, err := structural.Props(s.structure.JSON())
	if err != nil {
		return nil, err
	}
	if c.structural, err = structuralOf(props, s.preserveUnknown); err != nil {
		return nil, err
	}
	if c.structural != nil {
		c.shape = newShape(c.structural)
		c.embedded = hasWithin(c.structural, func(s *structuralschema.Structural) bool { return s.XEmbeddedResource })
		c.lists = hasWithin(c.structural, func(s *structuralschema.Structural) bool { return s.XListType != nil })
	}
	c.validators = sync.OnceValues(func() (*validators, error) { return newValidators(s.structure.JSON(), c.structural) })
	return c, nil
}

// structuralOf is the structural schema of props, whose defaults it prunes; nil where there is none and preserveUnknown allows that, as in
// definitions that are older than structural schemas. The error says why there is none.
func structuralOf(props *apiextensions.JSONSchemaProps, preserveUnknown bool) (*structuralschema.Structural, error) {
	s, err := structuralschema.NewStructural(props)
	switch {
	case err != nil && preserveUnknown:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the schema is not structural: %w", err)
	}
	if err := defaulting.PruneDefaults(s); err != nil {
		return nil, fmt.Errorf("pruning the defaults: %w", err)
	}
	return s, nil
}

// sizeOf estimates what is made of a schema: some 16 bytes for one of its JSON, and 100 KB for a rule.
func sizeOf(text []byte) int { return 16*len(text) + 100<<10*bytes.Count(text, []byte(`"rule":`)) }

func newValidators(text []byte, of *structuralschema.Structural) (v *validators, err error) {
	props, err := structural.Props(text)
	if err != nil {
		return nil, err
	}
	v = &validators{}
	if v.object, _, err = apiservervalidation.NewSchemaValidator(props); err != nil {
		return nil, err
	}
	if status, ok := props.Properties["status"]; ok {
		if v.status, _, err = apiservervalidation.NewSchemaValidator(&status); err != nil {
			return nil, err
		}
	}
	v.rules = cel.NewValidator(of, true, celconfig.PerCallLimit)
	return v, nil
}

// recent keeps what was used last.
var recent recently

// maxRecent bounds the compiled schemas that are kept, in bytes as sizeOf estimates them.
const maxRecent = 16 << 20

// recently holds compiled schemas, the last used one first. The zero value is ready.
type recently struct {
	mu   sync.Mutex // guards all and size
	all  []*compiled
	size int
}

// keep makes c the last used one, and lets go of those that were not used for longest.
func (r *recently) keep(c *compiled) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) > 0 && r.all[0] == c {
		return
	}
	at := 0
	for at < len(r.all) && r.all[at] != c {
		at++
	}
	if at == len(r.all) {
		r.all = append(r.all, c)
		r.size += c.size
	}
	copy(r.all[1:at+1], r.all[:at])
	r.all[0] = c
	for r.size > maxRecent && len(r.all) > 1 {
		last := len(r.all) - 1
		r.size -= r.all[last].size
		r.all[last] = nil
		r.all = r.all[:last]
	}
}
