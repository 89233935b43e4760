package openapi

import (
	"reflect"
	"strings"
)

// parameter is one of a path or of its query.
type parameter struct {
	name, kind, text string // kind: "string", "integer", "boolean"
	many             bool   // may be repeated
}

var (
	nameParameter      = parameter{name: "name", kind: "string", text: "name of the object"}
	namespaceParameter = parameter{name: "namespace", kind: "string", text: "object name and auth scope, such as for teams and projects"}
	pathParameter      = parameter{name: "path", kind: "string", text: "path of what the object serves"}
	prettyParameter    = parameter{name: "pretty", kind: "string", text: "If 'true', the answer is indented."}

	dryRun          = parameter{name: "dryRun", kind: "string", text: "When present, everything is done but storing the change. The one valid value is All."}
	fieldManager    = parameter{name: "fieldManager", kind: "string", text: "The name of whoever makes this change, at most 128 printable characters. Required for apply patches."}
	fieldValidation = parameter{name: "fieldValidation", kind: "string", text: "What to do about unknown and duplicate fields: Ignore drops them, Warn (the default) answers with a warning for each, Strict refuses the request."}
	force           = parameter{name: "force", kind: "boolean", text: "Take fields over from other managers. For apply patches only."}

	writeParameters = []parameter{dryRun, fieldManager, fieldValidation}
	patchParameters = []parameter{dryRun, fieldManager, fieldValidation, force}

	deleteParameters = []parameter{
		dryRun,
		{name: "gracePeriodSeconds", kind: "integer", text: "The seconds before the object is deleted; 0 is at once. The default is the kind's."},
		{name: "ignoreStoreReadErrorWithClusterBreakingPotential", kind: "boolean", text: "Delete an object that can't be read from the store."},
		{name: "orphanDependents", kind: "boolean", text: "Deprecated: use propagationPolicy."},
		{name: "propagationPolicy", kind: "string", text: "Whether and how dependents are deleted: Orphan, Background or Foreground."},
	}
	collectionParameters = []parameter{
		{name: "continue", kind: "string", text: "The token of the next page, from the answer with the page before."},
		{name: "fieldSelector", kind: "string", text: "Select objects by their fields."},
		{name: "labelSelector", kind: "string", text: "Select objects by their labels."},
		{name: "limit", kind: "integer", text: "The most objects a page may have."},
		{name: "resourceVersion", kind: "string", text: "Which state to read: unset is the latest, 0 is any, a number is that one or a newer."},
		{name: "resourceVersionMatch", kind: "string", text: "How resourceVersion is meant: Exact or NotOlderThan."},
		{name: "sendInitialEvents", kind: "boolean", text: "Begin a watch with the objects there are, and mark their end with a bookmark."},
		{name: "timeoutSeconds", kind: "integer", text: "When the server ends the call, whatever it is doing."},
	}
	listParameters = append(collectionParameters[:len(collectionParameters):len(collectionParameters)],
		parameter{name: "allowWatchBookmarks", kind: "boolean", text: "The client understands events of type BOOKMARK."},
		parameter{name: "watch", kind: "boolean", text: "Stream the changes instead of listing."},
	)
)

// queryParameters are the fields of an options type that a URL can carry.
func queryParameters(t reflect.Type) []parameter {
	doc := swaggerDoc(t)
	var all []parameter
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		p := parameter{name: name, kind: "string", text: doc[name]}
		ft := deref(f.Type)
		if ft.Kind() == reflect.Slice {
			p.many, ft = true, ft.Elem()
		}
		switch ft.Kind() {
		case reflect.Bool:
			p.kind = "boolean"
		case reflect.Int32, reflect.Int64:
			p.kind = "integer"
		}
		all = append(all, p)
	}
	return all
}
