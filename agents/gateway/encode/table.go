package encode

import (
	"context"
	"encoding/json"
	"fmt"
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
	// showMetadata shows an object's metadata where none is asked for: that of the bookmark at the end of the initial events.
	showMetadata bool
}

// newTableWriter reads how the client wants its rows.
func newTableWriter(r *request.Request) (*tableWriter, error) {
	t := &tableWriter{ctx: r.Context(), of: r.Resource.Version, version: r.Shape.Version, now: metav1.Now(), include: metav1.IncludeMetadata}
	if v := r.Query.Get("includeObject"); v != "" {
		t.include = metav1.IncludeObjectPolicy(v)
	}
	if faults := validation.ValidateTableOptions(&metav1.TableOptions{IncludeObject: t.include}); len(faults) > 0 {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("Unable to convert to Table as requested: %v", faults[0]))
	}
	return t, nil
}

// tableOfObject is the table of an object that is no item: of a scale.
func tableOfObject(r *request.Request, obj schema.Object, data []byte) ([]byte, error) {
	t, err := newTableWriter(r)
	if err != nil {
		return nil, err
	}
	t.of = bodyOf(r)
	revision, _ := json.Marshal(metav1.ListMeta{ResourceVersion: obj.GetResourceVersion()}) // strings always marshal
	b := t.start(nil, revision, true)
	if b, err = t.appendRow(b, obj, data, false); err != nil {
		return nil, err
	}
	return append(b, "]}"...), nil
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

// row appends the row of an item.
func (t *tableWriter) row(b []byte, it *registry.Item) ([]byte, error) {
	obj, err := it.ObjectAs(t.ctx, t.of)
	if err != nil {
		return nil, err
	}
	data := it.JSON
	if t.include == metav1.IncludeObject {
		if data, err = it.As(t.ctx, t.of); err != nil {
			return nil, err
		}
	}
	return t.appendRow(b, obj, data, t.showMetadata)
}

// appendRow appends the row of an object whose JSON is data; metadata shows its metadata where no object is asked for.
func (t *tableWriter) appendRow(b []byte, obj schema.Object, data []byte, metadata bool) ([]byte, error) {
	cells, err := json.Marshal(t.cells(obj))
	if err != nil {
		return nil, err
	}
	b = append(append(append(b, `{"cells":`...), cells...), `,"object":`...)
	switch {
	case t.include == metav1.IncludeObject:
		b = append(b, data...)
	case t.include == metav1.IncludeNone && !metadata:
		b = append(b, "null"...)
	default:
		if b, err = appendPartial(b, data, t.version); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (t *tableWriter) cells(obj schema.Object) []any {
	if t.of.Row == nil {
		return []any{obj.GetName(), obj.GetCreationTimestamp().UTC().Format("2006-01-02T15:04:05Z")}
	}
	return t.of.Row(obj, t.now)
}
