package encode

import (
	"context"
	"encoding/json"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
)

// defaultColumns are those of a kind that names none.
var defaultColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	{Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]},
}

// tableWriter writes objects as the rows of a Table.
type tableWriter struct {
	ctx     context.Context
	of      *schema.Version // what the rows show
	version string          // of meta.k8s.io
	include metav1.IncludeObjectPolicy
	now     metav1.Time
}

// newTableWriter reads how the client wants its rows.
func newTableWriter(r *request.Request) (*tableWriter, error) {
	t := &tableWriter{ctx: r.Context(), of: r.Resource.Version, version: r.Shape.Version, now: metav1.Now(), include: metav1.IncludeMetadata}
	if v := r.Query.Get("includeObject"); v != "" {
		t.include = metav1.IncludeObjectPolicy(v)
	}
	if faults := validation.ValidateTableOptions(&metav1.TableOptions{IncludeObject: t.include}); len(faults) > 0 {
		return nil, apierrors.NewBadRequest(faults.ToAggregate().Error())
	}
	return t, nil
}

func tableOfList(r *request.Request, l registry.List) ([]byte, error) {
	t, err := newTableWriter(r)
	if err != nil {
		return nil, err
	}
	if err := registry.ConvertItems(t.ctx, l.Items, t.of); err != nil {
		return nil, err
	}
	return t.table(nil, appendListMeta(nil, l), l.Items, true)
}

func tableOfItem(r *request.Request, item *registry.Item) ([]byte, error) {
	t, err := newTableWriter(r)
	if err != nil {
		return nil, err
	}
	return t.table(nil, revisionMeta(item.Revision), []*registry.Item{item}, true)
}

// revisionMeta is a Table's metadata; what is not stored has no revision.
func revisionMeta(revision int64) []byte {
	if revision == 0 {
		return []byte("{}")
	}
	return append(strconv.AppendInt([]byte(`{"resourceVersion":"`), revision, 10), `"}`...)
}

// table appends a Table of items to b; a stream names its columns only once.
func (t *tableWriter) table(b, meta []byte, items []*registry.Item, columns bool) ([]byte, error) {
	b = t.start(b, meta, columns)
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = t.row(b, it); err != nil {
			return nil, err
		}
	}
	return append(b, "]}"...), nil
}

// start appends everything before the first row.
func (t *tableWriter) start(b, meta []byte, columns bool) []byte {
	b = append(b, `{"kind":"Table","apiVersion":"meta.k8s.io/`...)
	b = append(b, t.version...)
	b = append(b, `","metadata":`...)
	b = append(b, meta...)
	b = append(b, `,"columnDefinitions":`...)
	if columns {
		definitions := t.of.Columns
		if t.of.Row == nil {
			definitions = defaultColumns
		}
		text, _ := json.Marshal(definitions) // plain strings always marshal
		b = append(b, text...)
	} else {
		b = append(b, "null"...)
	}
	return append(b, `,"rows":[`...)
}

// row appends one row.
func (t *tableWriter) row(b []byte, it *registry.Item) ([]byte, error) {
	values, err := t.cells(it)
	if err != nil {
		return nil, err
	}
	cells, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `{"cells":`...), cells...)
	switch t.include {
	case metav1.IncludeNone:
		b = append(b, `,"object":null`...)
	case metav1.IncludeObject:
		object, err := it.As(t.ctx, t.of)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"object":`...), object...)
	default:
		b = append(b, `,"object":`...)
		if b, err = appendPartial(b, it.JSON, t.version); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (t *tableWriter) cells(it *registry.Item) ([]any, error) {
	obj, err := it.ObjectAs(t.ctx, t.of)
	if err != nil {
		return nil, err
	}
	if t.of.Row == nil {
		return []any{obj.GetName(), obj.GetCreationTimestamp().UTC().Format("2006-01-02T15:04:05Z")}, nil
	}
	return t.of.Row(obj, t.now), nil
}
