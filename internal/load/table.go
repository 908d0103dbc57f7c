package load

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is what is wrong in a file, and where.
type Problem struct {
	File string
	Line int
	Text string
}

func (p *Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// mostProblems bounds how many problems one file reports: the first ones explain the rest.
const mostProblems = 20

// problems gathers what is wrong in one file.
type problems struct {
	file string
	list []error
}

func (p *problems) add(line int, format string, args ...any) {
	if len(p.list) < mostProblems {
		p.list = append(p.list, &Problem{p.file, line, fmt.Sprintf(format, args...)})
	}
}

func (p *problems) full() bool { return len(p.list) == mostProblems }

// table reads a CSV file with a header, row by row.
type table struct {
	problems
	file    *os.File
	csv     *csv.Reader
	columns []string // in lower case, as they stand in the header
	fields  []string // of the row
	line    int      // of the row
}

// openTable reads the header. aliases gives other names of columns; required are the ones that must be there.
func openTable(path string, aliases map[string]string, required ...string) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &table{problems: problems{file: path}, file: f, csv: csv.NewReader(skipMark(f))}
	t.csv.FieldsPerRecord = -1 // checked here, in our own words
	t.csv.TrimLeadingSpace = true
	header, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		t.add(1, "the file is empty; its first line must name the columns: %s", strings.Join(required, ", "))
		return t, nil
	}
	if err != nil {
		t.broken(err)
		return t, nil
	}
	t.columns = header
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if alias, ok := aliases[name]; ok {
			name = alias
		}
		if slices.Contains(header[:i], name) {
			t.add(1, "the column %q is there twice", name)
		}
		header[i] = name
	}
	for _, name := range required {
		if !slices.Contains(header, name) {
			t.add(1, "the column %q is missing; there are: %s", name, strings.Join(header, ", "))
		}
	}
	if len(t.list) > 0 {
		t.columns = nil // what the rows mean is not known
	}
	return t, nil
}

// skipMark takes off the byte order mark that spreadsheets write.
func skipMark(f *os.File) io.Reader {
	const mark = "\ufeff"
	head := make([]byte, len(mark))
	n, _ := io.ReadFull(f, head) // an error comes again at the next read
	if string(head[:n]) == mark {
		return f
	}
	return io.MultiReader(strings.NewReader(string(head[:n])), f)
}

// broken notes what the CSV reader could not read.
func (t *table) broken(err error) {
	if parse := new(csv.ParseError); errors.As(err, &parse) {
		t.add(parse.Line, "not CSV: %v", parse.Err)
		return
	}
	t.add(t.line+1, "%v", err)
}

// next moves to the next row that has as many fields as the header; false at the end, or when nothing more is worth reading.
func (t *table) next() bool {
	for t.columns != nil && !t.full() {
		fields, err := t.csv.Read()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			t.broken(err)
			return false
		}
		t.fields = fields
		t.line, _ = t.csv.FieldPos(0)
		if len(fields) != len(t.columns) {
			t.add(t.line, "the row has %d fields, the header %d", len(fields), len(t.columns))
			continue
		}
		if i := slices.IndexFunc(fields, func(s string) bool { return !utf8.ValidString(s) }); i >= 0 {
			t.add(t.line, "%s: is not UTF-8", t.columns[i])
			continue
		}
		return true
	}
	return false
}

// get is the row's field of a column, trimmed; empty where there is no such column.
func (t *table) get(column string) string {
	if i := slices.Index(t.columns, column); i >= 0 {
		return strings.TrimSpace(t.fields[i])
	}
	return ""
}

// close ends the reading and gives what was wrong.
func (t *table) close() error {
	if err := t.file.Close(); err != nil {
		t.add(t.line, "%v", err)
	}
	return errors.Join(t.list...)
}
