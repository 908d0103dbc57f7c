package server

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"holdfast/auth"
)

// schemasJSON holds the components of the description, written by hand; the paths are made from the routes.
//
//go:embed schemas.json
var schemasJSON []byte

func getOpenAPI(c *call) int {
	return c.write(http.StatusOK, jsonType, func(b []byte) []byte { return append(b, c.openapi...) })
}

// The parts of an OpenAPI 3.1 description that the routes decide.
type (
	description struct {
		OpenAPI    string                           `json:"openapi"`
		Info       map[string]string                `json:"info"`
		Paths      map[string]map[string]*described `json:"paths"`
		Components json.RawMessage                  `json:"components"`
	}
	described struct {
		OperationID string                `json:"operationId"`
		Summary     string                `json:"summary"`
		Role        auth.Role             `json:"x-role"`
		Also        []auth.Role           `json:"x-also,omitempty"`
		Security    []map[string][]string `json:"security,omitempty"`
		Parameters  []reference           `json:"parameters,omitempty"`
		Body        *content              `json:"requestBody,omitempty"`
		Responses   map[string]*response  `json:"responses"`
	}
	reference struct {
		Ref string `json:"$ref"`
	}
	content struct {
		Content map[string]media `json:"content"`
	}
	response struct {
		Description string           `json:"description"`
		Content     map[string]media `json:"content,omitempty"`
	}
	media struct {
		Schema any `json:"schema"`
	}
)

// describe makes /openapi.json.
func describe() ([]byte, error) {
	doc := description{
		OpenAPI: "3.1.0",
		Info: map[string]string{
			"title":   "Holdfast",
			"version": "1",
			"description": "First come, set in stone. Every answer says how far it has got (durability) and what it rests on (as_of). " +
				"x-role is the least role that may use a route, in the order person, staff, backend, admin; x-also may use it for themselves; " +
				"what is not public needs a token.",
		},
		Paths:      map[string]map[string]*described{},
		Components: schemasJSON,
	}
	for _, r := range table() {
		if doc.Paths[r.path] == nil {
			doc.Paths[r.path] = map[string]*described{}
		}
		doc.Paths[r.path][strings.ToLower(r.method)] = r.describe()
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("server: schemas.json: %w", err)
	}
	return b, nil
}

func (r *route) describe() *described {
	d := &described{OperationID: r.op.id, Summary: r.op.summary, Role: r.role, Also: r.also, Responses: map[string]*response{}}
	if r.role != Public {
		d.Security = []map[string][]string{{"bearer": {}}}
	}
	for _, id := range [...]struct {
		name string
		in   bool
	}{{"realm", r.names.realm}, {"pool", r.names.pool}, {"person", r.names.person}, {"desk", r.names.desk}, {"agent", r.names.agent}} {
		if id.in {
			d.Parameters = append(d.Parameters, parameter(id.name))
		}
	}
	if r.names.number != "" {
		d.Parameters = append(d.Parameters, parameter(r.names.number))
	}
	for _, name := range r.op.query {
		if name == "after" && !r.byName() {
			name = "after_number"
		}
		d.Parameters = append(d.Parameters, parameter(name))
	}
	for _, name := range r.op.headers {
		d.Parameters = append(d.Parameters, parameter(name))
	}
	if r.op.body != "" {
		d.Body = &content{map[string]media{"application/json": {schema(r.op.body)}}}
	}
	for _, a := range append(r.op.answers, r.commonAnswers()...) {
		status := strconv.Itoa(a.status)
		if d.Responses[status] == nil {
			d.Responses[status] = &response{Description: http.StatusText(a.status), Content: map[string]media{}}
		}
		if a.media != "" {
			d.Responses[status].Content[a.media] = media{schema(a.schema)}
		}
	}
	return d
}

// byName says whether ?after= is a name; else it is a number.
func (r *route) byName() bool {
	return slices.Contains([]string{"listRealms", "listPools", "listDesks", "listAgents"}, r.op.id)
}

// commonAnswers are the errors of every route of its kind.
func (r *route) commonAnswers() []answer {
	statuses := []int{http.StatusBadRequest, http.StatusForbidden}
	if r.role != Public {
		statuses = append(statuses, http.StatusUnauthorized)
	}
	if r.class == newcomer {
		statuses = append(statuses, http.StatusTooManyRequests)
	}
	if r.class != open {
		statuses = append(statuses, http.StatusServiceUnavailable)
	}
	if r.op.body != "" {
		statuses = append(statuses, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	list := make([]answer, len(statuses))
	for i, status := range statuses {
		list[i] = answer{status, "application/problem+json", "Problem"}
	}
	return list
}

func parameter(name string) reference { return reference{"#/components/parameters/" + name} }

// schema refers to a schema; without a name it is text.
func schema(name string) any {
	if name == "" {
		return map[string]string{"type": "string"}
	}
	return reference{"#/components/schemas/" + name}
}
