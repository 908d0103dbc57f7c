// Package archtest keeps the architecture: who may import whom, and the budgets of size, as tests.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	maxFunctionLines = 70
	maxFileLines     = 500
	maxStructFields  = 12
)

// arrows says which packages of this module each one may import, tests apart. A package that is not here fails the test:
// adding one is a decision about the architecture (docs/ARCHITECTURE.md draws it).
var arrows = map[string][]string{
	"internal/rule":     {},
	"seat":              {"internal/rule"},
	"desk":              {"internal/rule"},
	".":                 {"seat", "desk", "internal/rule"},
	"internal/vfs":      {},
	"internal/journal":  {"internal/vfs"},
	"engine":            {".", "seat", "desk", "internal/journal", "internal/vfs"},
	"engine/logtest":    {"engine"},
	"internal/memlog":   {"engine"},
	"internal/sim":      {".", "seat", "desk"},
	"internal/wire":     {".", "seat", "desk"},
	"internal/pgtest":   {},
	"internal/archtest": {},
	"internal/load":     {"seat", "internal/wire"},
	"internal/story":    {".", "seat", "desk"},
	"internal/play":     {},
	"internal/rush":     {".", "seat", "engine", "internal/sim", "internal/play"},
	"internal/shift":    {".", "seat", "desk", "engine", "internal/sim", "internal/play", "internal/wire"},
	"mirror":            {".", "seat", "desk", "engine"},
	"auth":              {},
	"internal/live":     {".", "seat", "desk", "engine", "internal/wire"},
	"internal/door":     {},
	"client":            {"seat", "internal/wire"},
	"server":            {".", "seat", "desk", "engine", "auth", "internal/wire", "internal/live", "internal/door"},
	"cmd/holdfast": {".", "seat", "engine", "mirror", "auth", "server", "internal/sim", "internal/load", "internal/rush", "internal/shift",
		"internal/story", "internal/wire"},
}

// pure packages use the standard library only, and of that nothing that does I/O, tells the time or runs concurrently.
var pure = map[string]bool{"internal/rule": true, "seat": true, "desk": true, ".": true}

var impure = []string{"os", "net", "net/http", "sync", "sync/atomic", "context", "log", "log/slog", "math/rand",
	"math/rand/v2", "crypto/rand", "os/exec", "syscall", "runtime"}

// source is one parsed file of the module.
type source struct {
	pkg, name string
	file      *ast.File
	lines     int
	test      bool
}

func load(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var all []source
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != root) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		file, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(rel), d.Name(), file, set.File(file.Pos()).LineCount(), strings.HasSuffix(p, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 60 {
		t.Fatalf("only %d files were found", len(all))
	}
	return set, all
}

func TestArrows(t *testing.T) {
	t.Parallel()
	_, all := load(t)
	seen, used := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		seen[s.pkg] = true
		may, known := arrows[s.pkg]
		if !known {
			t.Errorf("%s: the package is not drawn in the architecture", s.pkg)
			continue
		}
		if s.test {
			continue
		}
		for _, imp := range s.file.Imports {
			name := strings.Trim(imp.Path.Value, `"`)
			own, inside := strings.CutPrefix(name, "holdfast")
			switch {
			case inside && (own == "" || own[0] == '/'):
				own = path.Join(".", strings.TrimPrefix(own, "/"))
				used[s.pkg+" "+own] = true
				if !slices.Contains(may, own) {
					t.Errorf("%s/%s imports %s, which the architecture does not allow", s.pkg, s.name, name)
				}
			case pure[s.pkg] && (strings.Contains(name, ".") || slices.Contains(impure, name)):
				t.Errorf("%s/%s imports %s; the package is pure", s.pkg, s.name, name)
			}
		}
	}
	for pkg, may := range arrows {
		for _, to := range may {
			if !used[pkg+" "+to] {
				t.Errorf("%s may import %s, and does not: an arrow that nobody needs lets one in that nobody wants", pkg, to)
			}
		}
		if !seen[pkg] {
			t.Errorf("%s is drawn in the architecture and does not exist", pkg)
		}
	}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	set, all := load(t)
	functions := 0
	for _, s := range all {
		if s.lines > maxFileLines {
			t.Errorf("%s/%s has %d lines, more than %d", s.pkg, s.name, s.lines, maxFileLines)
		}
		if s.test {
			continue // tables make tests long
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				functions++
				if lines := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1; lines > maxFunctionLines {
					t.Errorf("%s: %s has %d lines, more than %d", set.Position(n.Pos()), n.Name.Name, lines, maxFunctionLines)
				}
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s: init() makes tests depend on each other", set.Position(n.Pos()))
				}
			case *ast.TypeSpec:
				checkStruct(t, set, s, n)
			}
			return true
		})
	}
	if functions < 300 {
		t.Errorf("only %d functions were looked at", functions)
	}
}

// checkStruct: Config is a list of fields by nature, and so are a View, which shows something whole, and what has a name on the wire.
func checkStruct(t *testing.T, set *token.FileSet, s source, n *ast.TypeSpec) {
	st, ok := n.Type.(*ast.StructType)
	if !ok || strings.HasSuffix(n.Name.Name, "Config") || strings.HasSuffix(n.Name.Name, "View") || s.pkg == "internal/wire" {
		return
	}
	fields := 0
	for _, f := range st.Fields.List {
		if f.Tag == nil || !strings.Contains(f.Tag.Value, "json:") {
			fields += max(1, len(f.Names))
		}
	}
	if fields > maxStructFields {
		t.Errorf("%s: %s has %d fields, more than %d", set.Position(n.Pos()), n.Name.Name, fields, maxStructFields)
	}
}

// TestNoChangingPackageVariables: what changes is a field of something that somebody owns.
func TestNoChangingPackageVariables(t *testing.T) {
	t.Parallel()
	set, all := load(t)
	vars := map[string]map[string]bool{}
	for _, s := range all {
		if s.test {
			continue
		}
		if vars[s.pkg] == nil {
			vars[s.pkg] = map[string]bool{}
		}
		for _, d := range s.file.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					vars[s.pkg][name.Name] = name.Name != "_"
				}
			}
		}
	}
	for _, s := range all {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			var targets []ast.Expr
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					return true
				}
				targets = n.Lhs
			case *ast.IncDecStmt:
				targets = []ast.Expr{n.X}
			}
			for _, e := range targets {
				if id := base(e); id != nil && vars[s.pkg][id.Name] && id.Obj == nil || id != nil && id.Obj != nil && id.Obj.Kind == ast.Var && isPackageLevel(s.file, id) {
					t.Errorf("%s: the package variable %s is changed", set.Position(n.Pos()), id.Name)
				}
			}
			return true
		})
	}
}

// base is the variable at the root of x, x.f, x[i].
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func isPackageLevel(f *ast.File, id *ast.Ident) bool {
	return f.Scope != nil && f.Scope.Lookup(id.Name) == id.Obj
}
