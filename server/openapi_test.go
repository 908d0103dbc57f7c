package server_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// schemas is /openapi.json, as far as answers are checked against it.
type schemas struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Summary     string
		Role        string   `json:"x-role"`
		Also        []string `json:"x-also"`
		Parameters  []map[string]string
		RequestBody *struct {
			Content map[string]struct{ Schema any }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema any }
		}
	}
	Components struct {
		Schemas    map[string]any
		Parameters map[string]any
	}
}

func readSchemas(t *testing.T, b []byte) (s schemas) {
	t.Helper()
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// check says what of an answer the description does not say.
func (s schemas) check(pattern string, rec *httptest.ResponseRecorder, body map[string]any) error {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok { // no route: every such answer is a problem
		return s.valid("answer", map[string]any{"$ref": "#/components/schemas/Problem"}, body)
	}
	op, ok := s.Paths[path][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("%s is not described", pattern)
	}
	resp, ok := op.Responses[strconv.Itoa(rec.Code)]
	if !ok {
		return fmt.Errorf("%s: status %d is not described", pattern, rec.Code)
	}
	media := rec.Header().Get("Content-Type")
	if media == "" || strings.HasPrefix(media, "text/plain") {
		media = "text/plain"
	}
	content, ok := resp.Content[media]
	if !ok {
		return fmt.Errorf("%s: %d with %q is not described", pattern, rec.Code, media)
	}
	if body == nil {
		return nil
	}
	return s.valid("answer", content.Schema, body)
}

// valid checks the part of JSON Schema that the description uses.
func (s schemas) valid(at string, schema, v any) error {
	m := schema.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		if s.Components.Schemas[name] == nil {
			return fmt.Errorf("%s: no schema %q", at, name)
		}
		return s.valid(at, s.Components.Schemas[name], v)
	}
	if either, ok := m["anyOf"].([]any); ok {
		var err error
		for _, one := range either {
			if err = s.valid(at, one, v); err == nil {
				return nil
			}
		}
		return err
	}
	if enum, ok := m["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Errorf("%s: %v is none of %v", at, v, enum)
	}
	switch m["type"] {
	case "string":
		if _, ok := v.(string); !ok {
			return fmt.Errorf("%s: %v is not a string", at, v)
		}
	case "integer":
		n, ok := v.(json.Number)
		if _, err := strconv.ParseUint(n.String(), 10, 64); !ok || err != nil {
			return fmt.Errorf("%s: %v is not a whole number", at, v)
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s: %v is not an array", at, v)
		}
		for i, item := range list {
			if err := s.valid(fmt.Sprintf("%s[%d]", at, i), m["items"], item); err != nil {
				return err
			}
		}
	case "object":
		return s.validObject(at, m, v)
	}
	return nil
}

func (s schemas) validObject(at string, m map[string]any, v any) error {
	members, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %v is not an object", at, v)
	}
	props, _ := m["properties"].(map[string]any)
	required, _ := m["required"].([]any)
	for _, name := range required {
		if _, there := members[name.(string)]; !there {
			return fmt.Errorf("%s: %s is missing", at, name)
		}
	}
	for name, member := range members {
		sub, declared := props[name]
		if !declared && m["additionalProperties"] == false {
			return fmt.Errorf("%s: %s is not declared", at, name)
		}
		if declared {
			if err := s.valid(at+"."+name, sub, member); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestOpenAPIHasEveryRoute: what is described is routed and the other way round, and every reference leads somewhere.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	w := newWorld(t, nil)
	doc := w.doc
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi is %q", doc.OpenAPI)
	}
	ids := map[string]bool{}
	routed := 0
	for path, methods := range doc.Paths {
		example := strings.NewReplacer("{realm}", "r", "{pool}", "p", "{person}", "x", "{desk}", "d", "{agent}", "a",
			"{request}", "1", "{offer}", "1", "{session}", "1").Replace(path)
		for method, op := range methods {
			routed++
			_, req := w.ask(strings.ToUpper(method), example+"?nobody-knows=1", "")
			if want := strings.ToUpper(method) + " " + path; req.Pattern != want {
				t.Errorf("%s is described, but leads to %q", want, req.Pattern)
			}
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Responses) < 2 {
				t.Errorf("%s %s: operationId %q (twice?), summary %q, %d answers", method, path, op.OperationID, op.Summary, len(op.Responses))
			}
			ids[op.OperationID] = true
			if !slices.Contains([]string{"person", "staff", "backend", "admin", "public"}, op.Role) {
				t.Errorf("%s %s: role %q", method, path, op.Role)
			}
			for _, p := range op.Parameters {
				name := strings.TrimPrefix(p["$ref"], "#/components/parameters/")
				if doc.Components.Parameters[name] == nil {
					t.Errorf("%s %s: no parameter %q", method, path, name)
				}
			}
		}
		// Any other method is refused with the list of those that are taken.
		r := w.must(405, "PATCH", example, "")
		for method := range methods {
			if !strings.Contains(r.Header().Get("Allow"), strings.ToUpper(method)) {
				t.Errorf("%s: Allow %q lacks %s", path, r.Header().Get("Allow"), method)
			}
		}
	}
	if want := 43; routed != want { // counted by hand: a route that is forgotten here is one that nobody looked at
		t.Errorf("%d routes are described, want %d", routed, want)
	}
	for name, schema := range doc.Components.Schemas {
		checkRefs(t, doc, name, schema)
	}
}

func checkRefs(t *testing.T, doc schemas, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil {
			t.Errorf("%s: %s leads nowhere", at, ref)
		}
		for name, sub := range v {
			checkRefs(t, doc, at+"."+name, sub)
		}
	case []any:
		for _, sub := range v {
			checkRefs(t, doc, at, sub)
		}
	}
}

// TestValidatorFinds: a check that cannot fail is a defect.
func TestValidatorFinds(t *testing.T) {
	w := newWorld(t, nil)
	claim := map[string]any{"$ref": "#/components/schemas/Claim"}
	good := map[string]any{"realm": "r", "pool": "p", "person": "x", "status": "seated", "durability": "confirmed", "as_of": json.Number("3"), "at": "2026-01-01T00:00:00.000000Z"}
	if err := w.doc.valid("claim", claim, good); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"status": "sitting", "as_of": "3", "surplus": "x", "realm": nil} {
		bad := map[string]any{}
		for k, g := range good {
			bad[k] = g
		}
		if bad[name] = v; v == nil {
			delete(bad, name)
		}
		if w.doc.valid("claim", claim, bad) == nil {
			t.Errorf("%s = %v passed", name, v)
		}
	}
}
