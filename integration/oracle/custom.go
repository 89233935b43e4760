package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sigs.k8s.io/yaml"
)

// installCustomKinds makes the definitions of testdata/customkinds on both sides and waits until both serve their kinds.
// WEBHOOK_URL and WEBHOOK_CA in them stand for the conversion webhook.
func (s *session) installCustomKinds(ctx context.Context, webhook *httptest.Server) error {
	files, err := filepath.Glob("testdata/customkinds/*.yaml")
	if err != nil {
		return err
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: webhook.Certificate().Raw})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text = bytes.ReplaceAll(text, []byte("WEBHOOK_URL"), []byte(webhook.URL))
		text = bytes.ReplaceAll(text, []byte("WEBHOOK_CA"), []byte(base64.StdEncoding.EncodeToString(authority)))
		var definition map[string]any
		if err := yaml.Unmarshal(text, &definition); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if text, err = json.Marshal(definition); err != nil {
			return err
		}
		for _, side := range []*server{s.upstream, s.gantry} {
			r := request{method: "POST", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", header: jsonHeader(), body: text}
			res, err := side.do(ctx, r)
			if err != nil {
				return err
			}
			if res.code != http.StatusCreated {
				return fmt.Errorf("%s: %s: %d %s", side.name, file, res.code, res.body)
			}
			if err := awaitKind(ctx, side, definition); err != nil {
				return err
			}
		}
	}
	return nil
}

const longestWait = 20 * time.Second

// awaitKind waits until a side has every version of a definition in discovery and in OpenAPI.
func awaitKind(ctx context.Context, side *server, definition map[string]any) error {
	group := lookUpString(definition, "spec", "group")
	versions, _ := lookUp(definition, "spec", "versions").([]any)
	for _, v := range versions {
		of := group + "/" + lookUpString(v, "name")
		served := func() bool {
			var list resourceList
			var doc any
			return getJSON(ctx, side, "/apis/"+of, &list) == nil && getJSON(ctx, side, "/openapi/v3/apis/"+of, &doc) == nil &&
				slices.ContainsFunc(list.Resources, func(r resource) bool { return r.Name == lookUpString(definition, "spec", "names", "plural") })
		}
		for deadline := time.Now().Add(longestWait); !served(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) || ctx.Err() != nil {
				return fmt.Errorf("%s: %s of %s is not served", side.name, of, lookUpString(definition, "metadata", "name"))
			}
		}
	}
	return nil
}

// convert answers a ConversionReview: v1's spec.size is v2's spec.amount. The label webhook tells it to answer in a wrong way.
func convert(w http.ResponseWriter, r *http.Request) {
	var review map[string]any
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	objects, _ := lookUp(review, "request", "objects").([]any)
	response := map[string]any{"uid": lookUp(review, "request", "uid"), "result": map[string]any{"status": "Success"}}
	out := []any{}
	for _, o := range objects {
		o = apply(o, edit{path: []string{"apiVersion"}, value: lookUp(review, "request", "desiredAPIVersion")})
		from, to := "size", "amount"
		if lookUp(o, "spec", from) == nil {
			from, to = to, from
		}
		if value := lookUp(o, "spec", from); value != nil {
			o = apply(o, edit{path: []string{"spec", to}, value: value}, edit{path: []string{"spec", from}, remove: true})
		}
		switch lookUpString(o, "metadata", "labels", "webhook") {
		case "fails":
			response["result"] = map[string]any{"status": "Failure", "message": "no conversion today"}
		case "renames":
			o = apply(o, edit{path: []string{"metadata", "name"}, value: "renamed"})
		case "annotates":
			o = apply(o, edit{path: []string{"metadata", "annotations", "converted"}, value: "yes"})
		case "labels-badly":
			o = apply(o, edit{path: []string{"metadata", "labels", "a/b/c"}, value: "yes"})
		case "adds-unknown":
			o = apply(o, edit{path: []string{"spec", "unknown"}, value: "yes"})
		case "is-invalid":
			o = apply(o, edit{path: []string{"spec", to}, value: -5})
		case "drops":
			continue
		case "answers-500":
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		out = append(out, o)
	}
	response["convertedObjects"] = out
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})
}
